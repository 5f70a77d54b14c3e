"""Which units a comparison consists of, for one seed, in the order in which they can be done. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.alt.methods import (
    ADAPTED,
    ADAPTED_AGAIN,
    BEFORE,
    BEFORE_AGAIN,
    BOOSTING,
    FOLDING_ABLATIONS,
    LIGHT_ABLATIONS,
    LIGHT_METHODS,
    METHODS,
    POOLED_BOOSTING,
    PREDEFINED,
    PREDEFINED_AGAIN,
    PROFILE_ONLY,
    SEARCHED,
    SINGLE_METHODS,
    TARGET_BOOSTING,
)
from benchmarks.alt.protocol import SEARCHED_ENCODER, Encoder, FirstEncoder, Folding
from benchmarks.alt.rows import OTHER_SEED, Unit
from benchmarks.alt.units.repetition import ablation_scenarios


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    initial: the first is the comparison's own, the others vary it (Table VIII). ablation_scenarios: those that each
    seed draws for ablations of the light model, and for light models after other numbers of initial scenarios.
    """

    encoders: Sequence[Encoder] = ("LSTM",)
    methods: Sequence[str] = METHODS
    initial: Sequence[int] = (8,)
    ablations: Sequence[str] = field(default_factory=tuple[str, ...])
    ablation_scenarios: int = 6
    in_flight: int = 4
    searched_initialization: bool = False
    """Whether version 1 is also made by architecture search, for Table VI."""
    only_initialization: bool = False
    """Whether version 1 is all: Table VI alone."""
    profile: bool = True
    """Whether the data set has any feature outside of its sequences."""

    def of(self, *methods: str) -> bool:
        """Whether any of these is wanted."""
        return any(method in self.methods for method in methods)

    def chained(self) -> bool:
        """Whether anything builds on the chain of arrivals."""
        return bool(self.ablations) or self.of(BEFORE, ADAPTED, PREDEFINED, PREDEFINED_AGAIN, SEARCHED)


def ablated_folding(name: str, in_flight: int) -> Folding:
    """The way of folding that an ablation's name stands for."""
    ways = {
        "frozen-agnostic": Folding(mode="Frozen"),
        "synchronous": Folding(mode="Synchronous", in_flight=in_flight),
        "asynchronous": Folding(in_flight=in_flight),
        "staleness-0": Folding(in_flight=in_flight, staleness_exponent=0),
        "staleness-1": Folding(in_flight=in_flight, staleness_exponent=1),
    }
    return ways[name]


def phases(wanted: Wanted, scenarios: Sequence[str], seed: int) -> list[list[Unit]]:
    """Units of each phase; those of one phase don't build on one another. `scenarios`: those that could be prepared."""
    pairs: list[tuple[Encoder, int]] = [(encoder, initial) for initial in wanted.initial for encoder in wanted.encoders]
    main = wanted.initial[0]
    drawn = ablation_scenarios(scenarios, seed, wanted.ablation_scenarios)

    def unit(kind: str, encoder: FirstEncoder, initial: int = main, **fields: Any) -> Unit:
        return Unit(kind=kind, seed=seed, encoder=encoder, initial=initial, **fields)

    firsts = pairs if wanted.chained() or wanted.only_initialization else []
    pools = [unit("pool", encoder, initial) for encoder, initial in firsts]
    if wanted.searched_initialization:
        pools += [unit("pool", SEARCHED_ENCODER, initial) for initial in wanted.initial]
    if wanted.only_initialization:
        return [pools]
    chains = [unit("chain", encoder, initial) for encoder, initial in firsts]
    if wanted.of(ADAPTED_AGAIN, BEFORE_AGAIN):
        pools += [unit("pool", encoder, variant=OTHER_SEED) for encoder in wanted.encoders]
        chains += [unit("chain", encoder, variant=OTHER_SEED) for encoder in wanted.encoders]
    chains += [
        unit("chain", encoder, folding=ablated_folding(name, wanted.in_flight))
        for name in wanted.ablations
        if name in FOLDING_ABLATIONS
        for encoder in wanted.encoders
    ]
    lights = [
        unit("light", encoder, initial, scenario=scenario, variant=method)
        for encoder, initial in pairs
        for scenario in (scenarios if initial == main else drawn)
        for method in LIGHT_METHODS
        if wanted.of(method)
    ]
    again = [
        unit("light", encoder, scenario=scenario, variant=PREDEFINED_AGAIN)
        for encoder in wanted.encoders
        for scenario in scenarios
        if wanted.of(PREDEFINED_AGAIN)
    ]
    ablated = [
        unit("light", encoder, scenario=scenario, variant=name)
        for name in wanted.ablations
        if name in LIGHT_ABLATIONS
        for encoder in wanted.encoders
        for scenario in drawn
    ]
    budgets = [unit("budgets", encoder) for encoder in wanted.encoders if wanted.of(SEARCHED)]
    # Alone, each: what is timed must not share the machine with our own work.
    timed = wanted.encoders if all(wanted.of(method) for method in LIGHT_METHODS) else ()
    latencies = [[unit("latency", encoder)] for encoder in timed]
    return [pools + _baselines(wanted, scenarios, seed), chains, lights + again, ablated, budgets, *latencies]


def _baselines(wanted: Wanted, scenarios: Sequence[str], seed: int) -> list[Unit]:
    boosting = [
        Unit(kind="boosting", seed=seed, variant=method) for method in (BOOSTING, TARGET_BOOSTING) if wanted.of(method)
    ]
    boosting += [
        Unit(kind="boosting", seed=seed, initial=initial, variant=POOLED_BOOSTING)
        for initial in wanted.initial
        if wanted.of(POOLED_BOOSTING)
    ]
    singles = [
        Unit(kind="single", seed=seed, encoder=encoder, scenario=scenario, variant=method)
        for encoder in wanted.encoders
        for method in SINGLE_METHODS
        for scenario in scenarios
        if wanted.of(method)
    ]
    profile = [
        Unit(kind="single", seed=seed, scenario=scenario, variant=PROFILE_ONLY)
        for scenario in scenarios
        if wanted.profile and wanted.of(PROFILE_ONLY)
    ]
    return boosting + singles + profile
