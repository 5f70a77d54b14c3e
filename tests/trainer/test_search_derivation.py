"""The derived architecture is the most probable one inside the budget, whatever the distribution."""

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.light_model_search import OPERATION_NAMES, SearchSpace
from longtail_api.store_objects import LightArchitecture
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.search.budget import Budget
from longtail_trainer.search.derivation import most_probable
from longtail_trainer.search.samplers.uniform import UniformSampler
from longtail_trainer.search.spaces.alt_cell import CellSpace, space_of
from tests.trainer.tiny_features import a_schema, features_of

FEATURES = features_of(a_schema(sequences=2))


def model_of(architecture: LightArchitecture) -> LightModel:
    return LightModel(FEATURES, architecture)


def a_space(
    layers: int = 2, operations: tuple[str, ...] = ("conv1", "conv3", "max_pool3"), width: int = 4
) -> CellSpace:
    spec = SearchSpace(layers=layers, operations=list(operations), width=width)
    return space_of(FEATURES, spec)


def every_architecture(space: CellSpace) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(len(choice.options)) for choice in space.choices)))


def log_probabilities(space: CellSpace, seed: int) -> list[list[float]]:
    """Of random distributions, some of them sharp."""
    generator = random.Random(seed)
    result: list[list[float]] = []
    for choice in space.choices:
        logits = [generator.gauss(0, generator.choice([0.1, 1, 5])) for _ in choice.options]
        total = math.log(sum(map(math.exp, logits)))
        result.append([logit - total for logit in logits])
    return result


def joint(log_p: list[list[float]], picks: tuple[int, ...]) -> float:
    return sum(options[pick] for options, pick in zip(log_p, picks, strict=True))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9), share=st.floats(0, 1.1), layers=st.integers(1, 2))
def test_the_order_is_that_of_enumerating_everything(seed: int, share: float, layers: int):
    space = a_space(layers)
    log_p = log_probabilities(space, seed)
    budget = space.smallest_flops() + share * (space.largest_flops() - space.smallest_flops())
    inside = [picks for picks in every_architecture(space) if space.flops(picks) <= budget]
    expected = sorted((joint(log_p, picks) for picks in inside), reverse=True)
    found = list(most_probable(log_p, *space.limits(Budget(budget))))
    assert {picks for picks, _ in found} == set(inside)
    assert [value for _, value in found] == pytest.approx(expected, abs=1e-7)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**9), share=st.floats(-0.2, 1.1))
def test_the_budget_is_never_exceeded_by_the_real_model(seed: int, share: float):
    space = a_space(layers=4, operations=OPERATION_NAMES)
    budget = int(space.smallest_flops() + share * (space.largest_flops() - space.smallest_flops()))
    first = next(most_probable(log_probabilities(space, seed), *space.limits(Budget(budget))), None)
    assert (first is None) == (budget < space.smallest_flops())
    if first is not None:
        model = model_of(space.decode_picks(first[0]))
        assert model.flops() == space.flops(first[0])
        assert model.flops() <= budget


def test_a_large_space_with_a_tight_budget_needs_no_large_heap():
    space = a_space(layers=12, operations=OPERATION_NAMES)
    uniform = [[-math.log(len(choice.options))] * len(choice.options) for choice in space.choices]
    tight = space.limits(Budget((space.smallest_flops() + space.largest_flops()) // 2))
    for log_p in (uniform, log_probabilities(space, 3)):
        first_twenty = list(itertools.islice(most_probable(log_p, *tight), 20))
        values = [value for _, value in first_twenty]
        assert values == sorted(values, reverse=True)
        assert len({picks for picks, _ in first_twenty}) == 20


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**9), share=st.floats(0, 1))
def test_uniform_draws_stay_inside_the_budget_and_count_right(seed: int, share: float):
    space = a_space(layers=2)
    budget = int(space.smallest_flops() + share * (space.largest_flops() - space.smallest_flops()))
    inside = {picks for picks in every_architecture(space) if space.flops(picks) <= budget}
    sampler = UniformSampler(space, budget)
    assert sampler.count() == len(inside)
    generator = random.Random(seed)
    assert {sampler.draw(generator) for _ in range(20)} <= inside


def test_uniform_draws_are_uniform():
    space = a_space(layers=1)
    budget = space.largest_flops() - 1
    sampler = UniformSampler(space, budget)
    generator = random.Random(0)
    counts = Counter(sampler.draw(generator) for _ in range(200 * sampler.count()))
    assert len(counts) == sampler.count()
    assert all(120 < count < 300 for count in counts.values())  # 200 ± more than 5 standard deviations


def test_choices_hold_an_input_an_operation_and_every_residual_edge_of_each_layer():
    space = a_space(layers=3)
    assert [(choice.name, len(choice.options)) for choice in space.choices] == [
        ("1.input", 1), ("1.operation", 3), ("1.residual.0", 2),
        ("2.input", 2), ("2.operation", 3), ("2.residual.0", 2), ("2.residual.1", 2),
        ("3.input", 3), ("3.operation", 3), ("3.residual.0", 2), ("3.residual.1", 2), ("3.residual.2", 2),
    ]  # fmt: skip


def test_nothing_fits_a_budget_below_the_cheapest():
    space = a_space()
    with pytest.raises(ValueError, match="no architecture has at most"):
        UniformSampler(space, space.smallest_flops() - 1)
