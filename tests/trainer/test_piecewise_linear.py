"""Numbers as shares of bins."""

import pytest
import torch

from longtail_trainer.models.blocks.piecewise_linear import PiecewiseLinear

EDGES = [[-1.0, 0.0, 2.0], [], [0.5, 1.5]]


def numbers(*values: float) -> torch.Tensor:
    """One row of three columns, no nulls."""
    return torch.tensor([[*values, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("value", "shares"),
    [
        (-9.0, [0.0, 0.0]),
        (-1.0, [0.0, 0.0]),
        (-0.25, [0.75, 0.0]),
        (0.0, [1.0, 0.0]),
        (1.5, [1.0, 0.75]),
        (9.0, [1, 1]),
    ],
)
def test_each_bin_says_how_much_of_it_lies_below_the_value(value, shares):
    encoded = PiecewiseLinear(EDGES)(numbers(value, 3.0, 1.0))[0]
    assert encoded[:6].tolist() == [value, 3.0, 1.0, 0.0, 0.0, 0.0]
    assert (encoded[6:] + 0.5).tolist() == pytest.approx([*shares, 0.5])


def test_a_linear_layer_on_bins_can_be_any_piecewise_linear_function_of_its_edges():
    bins = PiecewiseLinear([[-2.0, -1.0, 0.5, 3.0]])
    values = torch.linspace(-2, 3, 101)
    inputs = bins(torch.stack([values, torch.zeros_like(values)], dim=-1))
    wanted = torch.where(values < -1, values + 2, torch.where(values < 0.5, 1 - 3 * (values + 1), values - 4))
    weights = torch.linalg.lstsq(torch.cat([inputs, torch.ones(101, 1)], dim=1).double(), wanted.double()[:, None])
    fitted = torch.cat([inputs, torch.ones(101, 1)], dim=1).double() @ weights.solution
    torch.testing.assert_close(fitted.squeeze(1), wanted.double(), atol=1e-5, rtol=0)


def test_without_edges_the_numbers_are_what_they_were_and_cost_nothing():
    plain = PiecewiseLinear([[], []])
    rows = torch.randn(4, 5, 4)
    assert plain(rows) is rows
    assert (plain.width, plain.flops()) == (4, 0)


def test_edges_are_no_weights():
    bins = PiecewiseLinear(EDGES)
    assert bins.state_dict() == {}
    assert list(bins.parameters()) == []
    assert (bins.width, bins.flops()) == (9, 6)
