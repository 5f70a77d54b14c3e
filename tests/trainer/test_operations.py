"""The contract every operation of a search space keeps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime import InferenceSession
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from longtail_api.light_model_search import OPERATION_NAMES
from longtail_trainer.operations import OPERATIONS, Shape
from tests.trainer.onnx_sessions import onnx_session

torch.set_num_threads(1)

# What FlopCounterMode doesn't see, by hand, for width w and length n.
BY_HAND = {
    "average_pool3": lambda n, w: 3 * w * n,
    "max_pool3": lambda n, w: 3 * w * n,
    "lstm": lambda n, w: n * (4 * 2 * (w * w + w * w) + 4 * w),
}
every_operation = pytest.mark.parametrize("name", OPERATION_NAMES)


def built(name: str, shape: Shape) -> nn.Module:
    torch.manual_seed(7)
    module, result = OPERATIONS[name].build(shape)
    assert result == shape
    return module.eval()


def events(lengths: list[int], width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random events with one sample of each length, and their mask."""
    longest = max(1, *lengths)
    x = torch.randn(len(lengths), longest, width, generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]
    return x, mask


def test_every_name_of_the_api_is_an_operation():
    assert tuple(OPERATIONS) == OPERATION_NAMES


@every_operation
def test_the_shape_is_kept(name: str):
    x, mask = events([5, 3, 0, 1], width=6)
    assert built(name, Shape(5, 6, heads=2))(x, mask).shape == x.shape


@every_operation
def test_padding_gives_zeros(name: str):
    x, mask = events([5, 3, 0, 1], width=6)
    y = built(name, Shape(5, 6, heads=2))(x, mask)
    assert (y[~mask] == 0).all()
    assert y[mask].abs().sum() > 0


@every_operation
def test_what_stands_in_the_padding_is_never_read(name: str):
    x, mask = events([5, 3, 0, 1], width=6)
    module = built(name, Shape(5, 6, heads=2))
    noisy = x.masked_fill(~mask.unsqueeze(-1), float("nan"))
    assert torch.equal(module(x, mask), module(noisy, mask))


@every_operation
def test_more_padding_changes_nothing(name: str):
    x, mask = events([4, 2, 1], width=6)
    longer = nn.functional.pad(x, (0, 0, 0, 3), value=9.0)
    longer_mask = nn.functional.pad(mask, (0, 3))
    module = built(name, Shape(7, 6, heads=2))
    torch.testing.assert_close(module(longer, longer_mask)[:, :4], module(x, mask), atol=1e-6, rtol=1e-5)


@every_operation
def test_samples_of_a_batch_do_not_meet(name: str):
    x, mask = events([5, 3, 0, 1], width=6)
    module = built(name, Shape(5, 6, heads=2))
    together = module(x, mask)
    for row in range(4):
        alone = module(x[row : row + 1], mask[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=1e-5)


@every_operation
def test_gradients_are_finite_and_reach_every_weight(name: str):
    x, mask = events([5, 3, 0, 1], width=6)
    x.requires_grad_()
    module = built(name, Shape(5, 6, heads=2)).train()
    (module(x, mask) ** 2).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert (x.grad[~mask] == 0).all()
    assert x.grad[mask].abs().sum() > 0
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@every_operation
@settings(max_examples=10, deadline=None)
@given(length=st.integers(1, 20), heads=st.integers(1, 3), per_head=st.integers(1, 5))
def test_flops_are_exact(name: str, length: int, heads: int, per_head: int):
    shape = Shape(length, heads * per_head, heads)
    if name in BY_HAND:
        assert OPERATIONS[name].flops(shape) == BY_HAND[name](shape.length, shape.width)
        return
    x, mask = events([length], shape.width)
    with FlopCounterMode(display=False) as counter:
        built(name, shape)(x, mask)
    assert OPERATIONS[name].flops(shape) == counter.get_total_flops()


class Everything(nn.Module):
    """All operations on one input, so that one export serves every operation's test."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = nn.ModuleList(built(name, Shape(5, 6, heads=2)) for name in OPERATION_NAMES)

    def forward(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        return [operation(x, mask) for operation in self.operations]


@pytest.fixture(scope="module")
def everything() -> tuple[Everything, InferenceSession]:
    module = Everything()
    return module, onnx_session(module, events([5, 3], width=6), ("x", "mask"))


@every_operation
def test_the_exported_graph_answers_alike(name: str, everything: tuple[Everything, InferenceSession]):
    module, session = everything
    index = OPERATION_NAMES.index(name)
    for lengths in ([1], [0], [2], [5, 3, 0, 1], [9, 2]):
        x, mask = events(lengths, width=6, seed=len(lengths))
        answer = session.run(None, {"x": x.numpy(), "mask": mask.numpy()})[index]
        torch.testing.assert_close(torch.from_numpy(answer), module(x, mask)[index], atol=1e-5, rtol=1e-4)


def test_average_pooling_divides_by_the_events_of_the_window():
    x = torch.tensor([[[3.0], [6.0], [100.0]]])
    mask = torch.tensor([[True, True, False]])
    assert built("average_pool3", Shape(3, 1))(x, mask).flatten().tolist() == [4.5, 4.5, 0.0]


def test_max_pooling_takes_the_largest_neighbor():
    x = torch.tensor([[[-3.0], [-6.0], [100.0]]])
    mask = torch.tensor([[True, True, False]])
    assert built("max_pool3", Shape(3, 1))(x, mask).flatten().tolist() == [-3.0, -3.0, 0.0]


def test_a_dilated_convolution_of_three_sees_two_events_to_each_side():
    module = built("dilated3", Shape(9, 1))
    x = torch.zeros(1, 9, 1, requires_grad=True)
    module.convolution(x.transpose(1, 2))[0, 0, 4].backward()
    assert x.grad is not None
    assert x.grad.flatten().nonzero().flatten().tolist() == [2, 4, 6]


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="4 heads do not divide the width 6"):
        OPERATIONS["attention"].build(Shape(5, 6, heads=4))
