"""Which units a comparison consists of, for one seed, in the order in which they can be done. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.alt.methods import (
    BOOSTING,
    FOLDING_ABLATIONS,
    LIGHT_ABLATIONS,
    LIGHT_METHODS,
    POOLED_BOOSTING,
    PROFILE_ONLY,
    SINGLE_METHODS,
)
from benchmarks.alt.protocol import SEARCHED_ENCODER, Encoder, Folding
from benchmarks.alt.rows import Unit
from benchmarks.alt.units.repetition import ablation_scenarios


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    initial: the first is the comparison's own, the others vary it (Table VIII). ablation_scenarios: those that each
    seed draws for ablations of the light model, and for light models after other numbers of initial scenarios.
    """

    encoders: Sequence[Encoder] = ("LSTM",)
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
    pools = [Unit(kind="pool", seed=seed, encoder=encoder, initial=initial) for encoder, initial in pairs]
    if wanted.searched_initialization:
        pools += [Unit(kind="pool", seed=seed, encoder=SEARCHED_ENCODER, initial=initial) for initial in wanted.initial]
    if wanted.only_initialization:
        return [pools]
    chains = [Unit(kind="chain", seed=seed, encoder=encoder, initial=initial) for encoder, initial in pairs]
    chains += [
        Unit(kind="chain", seed=seed, encoder=encoder, initial=main, folding=ablated_folding(name, wanted.in_flight))
        for name in wanted.ablations
        if name in FOLDING_ABLATIONS
        for encoder in wanted.encoders
    ]
    drawn = ablation_scenarios(scenarios, seed, wanted.ablation_scenarios)
    lights = [
        Unit(kind="light", seed=seed, encoder=encoder, initial=initial, scenario=scenario, variant=method)
        for encoder, initial in pairs
        for scenario in (scenarios if initial == main else drawn)
        for method in LIGHT_METHODS
    ]
    ablated = [
        Unit(kind="light", seed=seed, encoder=encoder, initial=main, scenario=scenario, variant=name)
        for name in wanted.ablations
        if name in LIGHT_ABLATIONS
        for encoder in wanted.encoders
        for scenario in drawn
    ]
    budgets = [Unit(kind="budgets", seed=seed, encoder=encoder, initial=main) for encoder in wanted.encoders]
    # Alone, each: what is timed must not share the machine with our own work.
    latencies = [[Unit(kind="latency", seed=seed, encoder=encoder, initial=main)] for encoder in wanted.encoders]
    return [pools + _baselines(wanted, scenarios, seed), chains, lights, ablated, budgets, *latencies]


def _baselines(wanted: Wanted, scenarios: Sequence[str], seed: int) -> list[Unit]:
    boosting = [Unit(kind="boosting", seed=seed, variant=BOOSTING)]
    boosting += [
        Unit(kind="boosting", seed=seed, initial=initial, variant=POOLED_BOOSTING) for initial in wanted.initial
    ]
    singles = [
        Unit(kind="single", seed=seed, encoder=encoder, scenario=scenario, variant=method)
        for encoder in wanted.encoders
        for method in SINGLE_METHODS
        for scenario in scenarios
    ]
    profile = [
        Unit(kind="single", seed=seed, scenario=scenario, variant=PROFILE_ONLY)
        for scenario in (scenarios if wanted.profile else ())
    ]
    return boosting + singles + profile
