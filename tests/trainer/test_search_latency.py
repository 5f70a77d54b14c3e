"""Latency as a term of the search and as a second limit of what is derived, by invented tables."""

import itertools
import math
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.light_model_search import OPERATION_NAMES, SearchSpace
from longtail_trainer.methods.alt.rankings.latency_gate import MOST_MEASURED, fast_enough
from longtail_trainer.running.errors import BudgetUnreachable
from longtail_trainer.search.budget import FLOPS, LATENCY, NANOSECONDS, UNLIMITED, Budget
from longtail_trainer.search.candidate import Candidate
from longtail_trainer.search.derivation import most_probable
from longtail_trainer.search.evaluators.distribution import ArchitectureDistribution
from longtail_trainer.search.samplers.uniform import UniformSampler, distinct_draws
from longtail_trainer.search.spaces.alt_cell import CellSpace, Costs, space_of
from longtail_trainer.search.spaces.picks import Picks
from longtail_trainer.search.spaces.space import Point
from tests.trainer.invented_tables import FEATURES, a_predicted_space, a_table
from tests.trainer.test_search_derivation import every_architecture, joint, log_probabilities


def a_space_of_times(
    seed: int, layers: int = 2, operations: tuple[str, ...] = ("conv1", "conv3", "max_pool3")
) -> CellSpace:
    """Times drawn without regard to FLOPs."""
    generator = random.Random(seed)
    times = {name: generator.randint(0, 9) for name in operations}
    space = space_of(FEATURES, SearchSpace(layers=layers, operations=list(operations), width=4))
    return space.predicted(Costs(generator.randint(0, 20), times, generator.randint(0, 3)))


def operations_of(space: CellSpace, picks: Picks) -> list[str]:
    return [layer.operation for layer in space.decode_picks(picks).layers]


def between(smallest: float, largest: float, share: float) -> float:
    return smallest + share * (largest - smallest)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), flops=st.floats(-0.1, 1.1), time=st.floats(-0.1, 1.1), layers=st.integers(1, 2))
def test_inside_two_limits_the_order_is_that_of_enumerating_everything(seed, flops, time, layers):
    space = a_space_of_times(seed, layers)
    log_p = log_probabilities(space, seed)
    every = every_architecture(space)
    times = [space.nanoseconds(picks) for picks in every]
    budget = Budget(
        between(space.smallest_flops(), space.largest_flops(), flops), between(min(times), max(times), time)
    )
    inside = [picks for picks in every if space.inside(picks, budget)]
    expected = sorted((joint(log_p, picks) for picks in inside), reverse=True)
    found = list(most_probable(log_p, *space.limits(budget)))
    assert {picks for picks, _ in found} == set(inside)
    assert len(found) == len(inside)
    assert [value for _, value in found] == pytest.approx(expected, abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**9), flops=st.floats(0, 1.1))
def test_a_latency_that_nothing_reaches_is_raised_to_the_smallest_inside_the_flops(seed, flops):
    space = a_space_of_times(seed)
    budget = Budget(between(space.smallest_flops(), space.largest_flops(), flops), 0)
    inside = [space.nanoseconds(picks) for picks in every_architecture(space) if space.flops(picks) <= budget.flops]
    assert space.attainable(budget).nanoseconds == min(inside)
    picks, _ = next(most_probable(log_probabilities(space, seed), *space.limits(space.attainable(budget))))
    assert space.nanoseconds(picks) == min(inside)
    assert space.flops(picks) <= budget.flops


def test_two_limits_on_a_large_space_are_kept():
    space = a_space_of_times(1, layers=6, operations=OPERATION_NAMES)
    budget = Budget(between(space.smallest_flops(), space.largest_flops(), 0.3), space.fixed_nanoseconds + 25)
    first_twenty = list(itertools.islice(most_probable(log_probabilities(space, 3), *space.limits(budget)), 20))
    values = [value for _, value in first_twenty]
    assert values == sorted(values, reverse=True)
    assert len({picks for picks, _ in first_twenty}) == 20
    assert all(space.inside(picks, budget) for picks, _ in first_twenty)


def test_an_operation_that_is_slow_is_avoided_although_its_flops_are_low():
    space = a_predicted_space(a_table(max_pool3=0.4))
    log_p = [
        [0.0 if option == "max_pool3" else -5.0 for option in choice.options]
        if choice.name.endswith(".operation")
        else [-math.log(len(choice.options))] * len(choice.options)
        for choice in space.choices
    ]
    assert min(space.choices[1].costs_of(FLOPS)) == space.choices[1].costs_of(FLOPS)[2], "it is the cheapest by FLOPs"
    free, _ = next(most_probable(log_p, *space.limits(UNLIMITED)))
    limited, _ = next(most_probable(log_p, *space.limits(Budget(nanoseconds=0.2 * NANOSECONDS))))
    assert operations_of(space, free) == ["max_pool3", "max_pool3"]
    assert "max_pool3" not in operations_of(space, limited)


def test_what_an_architecture_is_predicted_to_take_is_the_sum_of_its_parts_times_the_tail():
    space = a_predicted_space(a_table(conv3=0.03, max_pool3=0.02, edge=0.004, fixed=0.1, tail=1.5))
    picks = next(
        picks
        for picks in every_architecture(space)
        if operations_of(space, picks) == ["conv3", "max_pool3"]
        and [layer.residuals for layer in space.decode_picks(picks).layers] == [[0], [0, 1]]
    )
    assert space.nanoseconds(picks) == pytest.approx(1.5 * (0.1 + 0.03 + 0.02 + 3 * 0.004) * NANOSECONDS)


def test_the_term_is_the_latency_where_that_is_the_stricter_limit():
    space = a_predicted_space(a_table(max_pool3=0.4))
    distribution = ArchitectureDistribution(space)
    flops, latency = distribution.expected_flops(), distribution.expected_latency()
    assert float(flops.detach()) != pytest.approx(float(latency.detach()))
    roomy, tight = 10 * space.largest_flops(), space.smallest_flops()
    cases = {
        UNLIMITED: flops,
        Budget(flops=tight): flops,
        Budget(nanoseconds=NANOSECONDS): latency,
        Budget(flops=roomy, nanoseconds=0.1 * NANOSECONDS): latency,
        Budget(flops=tight, nanoseconds=100 * NANOSECONDS): flops,
    }
    for budget, term in cases.items():
        assert float(distribution.expected_cost(budget).detach()) == float(term.detach()), budget


def test_the_latency_term_turns_the_distribution_from_what_is_slow():
    distribution = ArchitectureDistribution(a_predicted_space(a_table(max_pool3=0.4)))
    distribution.expected_cost(Budget(nanoseconds=NANOSECONDS)).backward()
    gradient = distribution.logits[1].grad
    assert gradient[2] > 0 > gradient[:2].max()


def test_the_expected_latency_is_the_mean_over_all_architectures():
    space = a_space_of_times(4)
    distribution = ArchitectureDistribution(space)
    with torch.no_grad():
        for logits in distribution.logits:
            logits.normal_(generator=torch.Generator().manual_seed(5))
    log_p = distribution.log_probabilities()
    every = every_architecture(space)
    own = [space.nanoseconds(picks) - space.fixed_nanoseconds for picks in every]
    mean = sum(math.exp(joint(log_p, picks)) * time for picks, time in zip(every, own, strict=True))
    assert float(distribution.expected_latency().detach()) == pytest.approx(mean / max(own), rel=1e-4)


def test_without_a_limit_draws_are_those_of_the_sampler():
    plain = space_of(FEATURES, SearchSpace(layers=2, operations=["conv1", "conv3", "max_pool3"], width=4))
    for space in (plain, a_predicted_space()):
        sampler = UniformSampler(space, space.largest_flops() - 1)
        drawn = list(itertools.islice(distinct_draws(sampler, UNLIMITED, random.Random(3)), 12))
        generator, expected = random.Random(3), []
        while len(expected) < 12:
            picks = sampler.draw(generator)
            if picks not in expected:
                expected.append(picks)
        assert drawn == expected


@pytest.mark.parametrize("limit", [0, 12, 15, 30, math.inf])
def test_draws_are_all_that_is_inside_both_limits_each_once(limit):
    space = a_space_of_times(7)
    space = replace(space, fixed={**space.fixed, LATENCY: 8})
    sampler = UniformSampler(space, space.largest_flops() - 1)
    budget = space.attainable(Budget(space.largest_flops() - 1, limit))
    drawn = list(distinct_draws(sampler, budget, random.Random(0)))
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {picks for picks in every_architecture(space) if space.inside(picks, budget)}


class Timed:
    """A task whose architectures 0, 1, …, the best first, are predicted to take so long and take so long."""

    def __init__(
        self, predicted: list[float], taken: list[float], monkeypatch: pytest.MonkeyPatch, limit: float
    ) -> None:
        self.budget = Budget(nanoseconds=limit * NANOSECONDS)
        self.limit = limit
        self.space = self
        self.predicted = predicted
        self.taken = taken
        self.measured: list[int] = []
        monkeypatch.setattr("longtail_trainer.methods.alt.rankings.latency_gate._p99", self.p99)

    def nanoseconds(self, picks: Picks) -> float:
        return self.predicted[picks[0]] * NANOSECONDS

    def p99(self, task: object, found: Candidate) -> float:
        (number,) = self.picks(found.point)
        self.measured.append(number)
        return self.taken[number]

    def picks(self, point: Point) -> Picks:
        return (int(point["architecture"]),)

    def rank(self, budget: Budget) -> Candidate:
        inside = (index for index, each in enumerate(self.predicted) if each * NANOSECONDS <= budget.nanoseconds)
        fastest = min(range(len(self.predicted)), key=self.predicted.__getitem__)
        return Candidate({"architecture": next(inside, fastest)})

    def found(self) -> int:
        return self.picks(fast_enough(self.rank, self, self.limit).point)[0]  # type: ignore[arg-type]


def test_the_gate_starts_at_what_is_predicted_to_be_fast_enough(monkeypatch):
    task = Timed([9, 7, 4, 3], [9, 7, 4.5, 3], monkeypatch, limit=5)
    assert task.found() == 2
    assert task.measured == [2]


def test_where_the_table_was_wrong_the_gate_goes_on_by_how_much(monkeypatch):
    task = Timed([4, 3.5, 3, 2, 1], [8, 7, 6, 4, 2], monkeypatch, limit=5)
    assert task.found() == 3
    assert task.measured == [0, 3], "half as fast as predicted: only what is predicted inside 2.5 can be inside 5"


def test_a_prediction_alone_refuses_nothing(monkeypatch):
    task = Timed([9, 8, 7], [9, 8, 4], monkeypatch, limit=5)
    assert task.found() == 2
    assert task.measured == [2]


def test_a_latency_that_nothing_reaches_is_said_with_the_smallest_one_found(monkeypatch):
    task = Timed([9, 4, 2], [90, 40, 20], monkeypatch, limit=5)
    with pytest.raises(BudgetUnreachable, match=r"within 5 ms .* the fastest one tried took 20\.000 ms"):
        task.found()
    assert task.measured == [1, 2]


def test_however_many_are_too_slow_the_one_predicted_fastest_is_measured_before_the_gate_gives_up(monkeypatch):
    times = [100 * 0.94**number for number in range(60)]
    task = Timed(times, [100 + 0.001 * (60 - number) for number in range(60)], monkeypatch, limit=99.9)
    with pytest.raises(BudgetUnreachable, match=r"took 100\.001 ms"):
        task.found()
    assert len(task.measured) == MOST_MEASURED
    assert task.measured[-1] == 59
