"""The contract every operation keeps, by the kind of shape it takes; and what is particular to some."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime import InferenceSession
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from longtail_api.light_model_search import OPERATION_NAMES
from longtail_trainer.models.blocks.cell import CELL_OPERATIONS
from longtail_trainer.operations import (
    OPERATIONS,
    Fields,
    Operation,
    Sequence,
    Shape,
    Vector,
    keeping,
    operations_of,
)
from longtail_trainer.operations.masks import lowest
from tests.trainer.onnx_sessions import onnx_session

torch.set_num_threads(1)

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Case:
    """How operations of a kind are tried. inputs: of 4 samples. names: of a module's arguments."""

    shape: Shape
    inputs: Callable[[Shape], Inputs]
    names: tuple[str, ...]
    axes: int
    """Of the first ones how many are dynamic in an exported graph: the batch, and the length of a sequence."""


def events(lengths: list[int], width: int, seed: int = 0) -> Inputs:
    """Random events with one sample of each length, and their mask."""
    longest = max(1, *lengths)
    x = torch.randn(len(lengths), longest, width, generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]
    return x, mask


def numbers(*sizes: int) -> Inputs:
    return (torch.randn(4, *sizes, generator=torch.Generator().manual_seed(0)),)


def of_sequence(shape: Shape) -> Inputs:
    assert isinstance(shape, Sequence)
    return events([shape.length, min(3, shape.length), 0, 1], shape.width)


def of_fields(shape: Shape) -> Inputs:
    assert isinstance(shape, Fields)
    return numbers(shape.count, shape.width)


KINDS: dict[type[Shape], Case] = {
    Sequence: Case(Sequence(5, 6, heads=2), of_sequence, ("x", "mask"), axes=2),
    Fields: Case(Fields(5, 6), of_fields, ("x",), axes=1),
    Vector: Case(Vector(6), lambda shape: numbers(shape.width), ("x",), axes=1),
}
# What FlopCounterMode doesn't see, by hand.
BY_HAND: dict[str, Callable[[Any], int]] = {
    "average_pool3": lambda shape: 3 * shape.width * shape.length,
    "max_pool3": lambda shape: 3 * shape.width * shape.length,
    # Four projections and two products over events; two layers, of twice the width between; two sums.
    "transformer_block": lambda shape: (
        8 * shape.length * shape.width**2
        + 4 * shape.length**2 * shape.width
        + 2 * 2 * shape.length * shape.width * (2 * shape.width)
        + 2 * shape.length * shape.width
    ),
    "lstm": lambda shape: shape.length * (4 * 2 * (shape.width**2 + shape.width**2) + 4 * shape.width),
    # Of n fields n − 1 additions make a sum, twice; n + 1 squares; a difference; a half.
    "fm": lambda shape: shape.width * ((shape.count - 1) + (shape.count - 1) + (shape.count + 1) + 1 + 1),
}
every_operation = pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for kind in KINDS for name in operations_of(kind)]
)
on_sequences = pytest.mark.parametrize("name", operations_of(Sequence))


def built(name: str, shape: Shape) -> nn.Module:
    torch.manual_seed(7)
    return OPERATIONS[name].build(shape)[0].eval()


def sizes(shape: Shape) -> tuple[int, ...]:
    """Of a sample's tensor."""
    if isinstance(shape, Vector):
        return (shape.width,)
    return (shape.length if isinstance(shape, Sequence) else shape.count, shape.width)


def test_cells_choose_from_the_operations_of_sequences_by_the_names_of_the_api():
    assert tuple(operations_of(Sequence)) == tuple(CELL_OPERATIONS) == OPERATION_NAMES


def test_every_operation_takes_a_kind():
    assert {name for kind in KINDS for name in operations_of(kind)} == set(OPERATIONS)


@every_operation
def test_the_shape_it_gives_is_true(name: str, kind: type[Shape]):
    case = KINDS[kind]
    module, given_shape = OPERATIONS[name].build(case.shape)
    assert module(*case.inputs(case.shape)).shape == (4, *sizes(given_shape))


@every_operation
def test_samples_of_a_batch_do_not_meet(name: str, kind: type[Shape]):
    case = KINDS[kind]
    inputs, module = case.inputs(case.shape), built(name, case.shape)
    together = module(*inputs)
    for row in range(4):
        alone = module(*(one[row : row + 1] for one in inputs))
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=1e-5)


@every_operation
def test_gradients_are_finite_and_reach_every_weight_and_every_input(name: str, kind: type[Shape]):
    case = KINDS[kind]
    x, *mask = case.inputs(case.shape)
    x.requires_grad_()
    module = built(name, case.shape).train()
    (module(x, *mask) ** 2).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    read = mask[0] if mask else torch.ones(x.shape[:-1], dtype=torch.bool)
    assert (x.grad[~read] == 0).all()
    assert x.grad[read].abs().sum() > 0
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0 or name == "attention"  # whose softmax doesn't see the keys' bias


@st.composite
def shapes(draw: st.DrawFn, kind: type[Shape]) -> Shape:
    count, heads, per_head = draw(st.integers(1, 20)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    if kind is Sequence:
        return Sequence(count, heads * per_head, heads)
    return Fields(count, heads * per_head) if kind is Fields else Vector(heads * per_head)


@every_operation
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_flops_are_exact(name: str, kind: type[Shape], data: st.DataObject):
    shape = data.draw(shapes(kind))
    if name in BY_HAND:
        assert OPERATIONS[name].flops(shape) == BY_HAND[name](shape)
        return
    one_sample = tuple(one[:1] for one in KINDS[kind].inputs(shape))
    with FlopCounterMode(display=False) as counter:
        built(name, shape)(*one_sample)
    assert OPERATIONS[name].flops(shape) == counter.get_total_flops()


@every_operation
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_answers_and_gradients_stay_numbers(name: str, kind: type[Shape], dtype: torch.dtype):
    case = KINDS[kind]
    x, *mask = case.inputs(case.shape)
    module = built(name, case.shape)
    expected = module(x, *mask)
    halved = x.to(dtype).requires_grad_()
    answer = module.to(dtype)(halved, *mask)
    torch.testing.assert_close(answer.float(), expected, atol=0.1, rtol=0.1)
    answer.float().sum().backward()
    assert halved.grad is not None
    assert halved.grad.isfinite().all()


class Everything(nn.Module):
    """All operations of a kind on one input, so that one export serves every operation's test."""

    def __init__(self, kind: type[Shape]) -> None:
        super().__init__()
        self.operations = nn.ModuleList(built(name, KINDS[kind].shape) for name in operations_of(kind))

    def forward(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        return [operation(x, mask) for operation in self.operations]


class EverythingWithoutMask(Everything):
    def forward(self, x: Tensor) -> list[Tensor]:  # type: ignore[override]
        return [operation(x) for operation in self.operations]


@cache
def exported(kind: type[Shape]) -> tuple[Everything, InferenceSession]:
    case = KINDS[kind]
    module = (Everything if kind is Sequence else EverythingWithoutMask)(kind)
    return module, onnx_session(module, case.inputs(case.shape), case.names, case.axes)


@pytest.mark.slow
@every_operation
def test_the_exported_graph_answers_alike(name: str, kind: type[Shape]):
    module, session = exported(kind)
    case = KINDS[kind]
    index = list(operations_of(kind)).index(name)
    batches = [case.inputs(case.shape), tuple(one[:1] for one in case.inputs(case.shape))]
    if kind is Sequence:
        batches += [events(lengths, 6, seed=len(lengths)) for lengths in ([1], [0], [2], [9, 2])]
    for inputs in batches:
        answer = session.run(None, {name: one.numpy() for name, one in zip(case.names, inputs, strict=True)})[index]
        torch.testing.assert_close(torch.from_numpy(answer), module(*inputs)[index], atol=1e-5, rtol=1e-4)


@on_sequences
def test_padding_gives_zeros(name: str):
    x, mask = events([5, 3, 0, 1], width=6)
    y = built(name, Sequence(5, 6, heads=2))(x, mask)
    assert (y[~mask] == 0).all()
    assert y[mask].abs().sum() > 0


@on_sequences
def test_what_stands_in_the_padding_is_never_read(name: str):
    x, mask = events([5, 3, 0, 1], width=6)
    module = built(name, Sequence(5, 6, heads=2))
    noisy = x.masked_fill(~mask.unsqueeze(-1), float("nan"))
    assert torch.equal(module(x, mask), module(noisy, mask))


@on_sequences
def test_more_padding_changes_nothing(name: str):
    x, mask = events([4, 2, 1], width=6)
    longer = nn.functional.pad(x, (0, 0, 0, 3), value=9.0)
    longer_mask = nn.functional.pad(mask, (0, 3))
    module = built(name, Sequence(7, 6, heads=2))
    torch.testing.assert_close(module(longer, longer_mask)[:, :4], module(x, mask), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_stands_for_nothing_vanishes_in_a_softmax_and_leaves_no_infinity(dtype: torch.dtype):
    nothing = torch.tensor(lowest(dtype), dtype=dtype)
    largest = torch.tensor(torch.finfo(dtype).max / 4, dtype=dtype)
    assert (nothing - largest).isfinite()
    assert torch.stack([nothing, torch.zeros_like(nothing)]).softmax(0).tolist() == [0, 1]
    assert torch.stack([nothing, nothing]).softmax(0).tolist() == [0.5, 0.5]
    assert (nothing * 0).eq(0)


def test_an_operation_that_changes_the_shape_is_refused_where_it_must_stay():
    class Halves(Operation[Vector]):
        takes = (Vector,)

        def build(self, shape: Vector) -> tuple[nn.Module, Shape]:
            return nn.Linear(shape.width, shape.width // 2), Vector(shape.width // 2)

        def flops(self, shape: Vector) -> int:
            return shape.width**2

    with pytest.raises(ValueError, match=r"Halves gives Vector\(width=2\) of Vector\(width=4\)"):
        keeping(Halves(), Vector(4))


def test_average_pooling_divides_by_the_events_of_the_window():
    x = torch.tensor([[[3.0], [6.0], [100.0]]])
    mask = torch.tensor([[True, True, False]])
    assert built("average_pool3", Sequence(3, 1))(x, mask).flatten().tolist() == [4.5, 4.5, 0.0]


def test_max_pooling_takes_the_largest_neighbor():
    x = torch.tensor([[[-3.0], [-6.0], [100.0]]])
    mask = torch.tensor([[True, True, False]])
    assert built("max_pool3", Sequence(3, 1))(x, mask).flatten().tolist() == [-3.0, -3.0, 0.0]


def test_a_dilated_convolution_of_three_sees_two_events_to_each_side():
    module = built("dilated3", Sequence(9, 1))
    x = torch.zeros(1, 9, 1, requires_grad=True)
    module.convolution(x.transpose(1, 2))[0, 0, 4].backward()
    assert x.grad is not None
    assert x.grad.flatten().nonzero().flatten().tolist() == [2, 4, 6]


def test_the_factorization_machine_sums_the_products_of_all_pairs():
    x = torch.tensor([[[1.0, 2.0], [3.0, 5.0], [7.0, 11.0]]])
    pairs = [1 * 3 + 1 * 7 + 3 * 7, 2 * 5 + 2 * 11 + 5 * 11]
    assert built("fm", Fields(3, 2))(x).flatten().tolist() == pairs


@pytest.mark.parametrize("name", ["attention", "transformer_block"])
def test_heads_that_do_not_divide_the_width_are_refused(name: str):
    with pytest.raises(ValueError, match=f"{name}: 4 heads do not divide the width 6"):
        OPERATIONS[name].build(Sequence(5, 6, heads=4))


def test_a_transformer_block_gives_its_input_back_where_neither_part_adds_to_it():
    module = built("transformer_block", Sequence(5, 6, heads=2))
    for last in (module.attention.output, module.narrow):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    x, mask = events([5, 3, 0, 1], width=6)
    assert torch.equal(module(x, mask), x * mask.unsqueeze(-1))
