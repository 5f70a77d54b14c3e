"""How far fine-tuned weights may go: as far as validation rows show, and not at all where they show nothing."""

import math
import random

import pytest
import torch

from longtail_trainer.methods.alt.interpolation import STEPS, between, chosen


def losses(gain: float, noise: float, rows: int, seed: int = 0) -> dict[float, list[float]]:
    """Losses of rows, each of its own difficulty; at α they are lower by `gain` · α, give or take `noise` · α."""
    generator = random.Random(seed)
    hard = [generator.uniform(0, 3) for _ in range(rows)]
    luck = [generator.gauss(0, noise) for _ in range(rows)]
    return {step: [h - step * (gain + own) for h, own in zip(hard, luck, strict=True)] for step in STEPS}


def test_a_gain_that_every_row_shows_is_taken_whole():
    assert chosen(losses(gain=0.2, noise=0.01, rows=50), [1.0] * 50).step == 1.0


def test_a_loss_keeps_the_agnostic_model():
    found = chosen(losses(gain=-0.2, noise=0.01, rows=50), [1.0] * 50)
    assert found.step == 0.0
    assert found.loss == found.agnostic_loss < found.adapted_loss


def test_a_gain_within_its_own_noise_keeps_the_agnostic_model_most_of_the_time():
    kept = [chosen(losses(gain=0.0, noise=1.0, rows=40, seed=seed), [1.0] * 40).step == 0.0 for seed in range(200)]
    assert sum(kept) / len(kept) > 0.75  # one standard error of a normal: some 84 of 100


def test_where_the_best_is_half_way_the_whole_way_is_not_gone():
    rows = {step: [(step - 0.5) ** 2 + 0.001 * row for row in range(30)] for step in STEPS}
    assert chosen(rows, [1.0] * 30).step == 0.5


def test_rows_count_by_their_weights():
    rows = {step: [1.0 - step] * 10 + [1.0 + step] * 10 for step in STEPS}
    assert chosen(rows, [1.0] * 10 + [0.0] * 10).step == 1.0
    assert chosen(rows, [0.0] * 10 + [1.0] * 10).step == 0.0


@pytest.mark.parametrize("weights", [[], [0.0]])
def test_without_validation_rows_nothing_is_shown_to_be_better(weights):
    found = chosen({step: [1.0 - step] * len(weights) for step in STEPS}, weights)
    assert found.step == 0.0
    assert math.isnan(found.loss)


def test_one_row_shows_nothing():
    assert chosen({step: [1.0 - step] for step in STEPS}, [1.0]).step == 0.0


def test_the_end_points_are_the_weights_themselves():
    start, end = {"a": torch.tensor([0.1, 0.3])}, {"a": torch.tensor([0.7, -1e9])}
    assert between(start, end, 0.0)["a"] is start["a"]
    assert between(start, end, 1.0)["a"] is end["a"]
    assert torch.equal(
        between({"a": torch.zeros(2)}, {"a": torch.tensor([1.0, 2.0])}, 0.5)["a"], torch.tensor([0.5, 1])
    )
