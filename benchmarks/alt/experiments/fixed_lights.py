"""How much there is to find for a search: light models of fixed architectures beside MeL and Ours.

    python -m benchmarks.alt.experiments.fixed_lights --dataset DIR [--out DIR] [--seeds 5] [--encoder lstm]
        [--jobs N] [--json FILE]

The architectures, from a quarter of MeL's FLOPs to twice as many, are trained exactly as MeL and Ours were: the same
teacher, rows, epochs and seed, on the scenarios that each seed draws for ablations. What is done is kept beside the
comparison's own.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

import polars as pl

from benchmarks.alt.experiments import SCENARIOS, Measured, Row, carry_out, common_parser, encoder, mapped
from benchmarks.alt.methods import PREDEFINED, SEARCHED
from benchmarks.alt.rows import Unit
from benchmarks.alt.units.light import chain_unit
from benchmarks.alt.units.repetition import ablation_scenarios
from benchmarks.alt.units.workplace import Prepared, Workplace, identity, owner
from benchmarks.comparison.claims import shown
from benchmarks.comparison.results import Claim
from benchmarks.comparison.rows import figures
from benchmarks.comparison.statistics import difference
from longtail_api.methods.alt import TrainLightConfig
from longtail_api.store_objects import Layer, LightArchitecture, ModelCard, StepResult
from longtail_store import read_object

MODULE = "benchmarks.alt.experiments.fixed_lights"
FIRST_RUN = 101
"""Number of the first architecture's run in a scenario's part of the store, beyond those of the comparison."""
NO_LIMIT = 1_000_000_000
"""FLOPs that none of these comes near."""
CASCADES: dict[str, Sequence[str]] = {
    "3 conv1": ["conv1"] * 3,
    "3 conv3": ["conv3"] * 3,
    "1 lstm": ["lstm"],
    "6 lstm": ["lstm"] * 6,
    "attention, lstm": ["attention", "lstm"],
}
"""Operations of the layers, each of which reads the one before."""
SHOWN = ("seed", "scenario", "method", "encoder", "flops", "auc", "log_loss", "calibration_error", "test_rows")


def cascade(operations: Sequence[str], width: int) -> LightArchitecture:
    """A plain one, without residual edges."""
    return LightArchitecture(
        width=width,
        layers=[Layer(input=number, operation=name, residuals=[]) for number, name in enumerate(operations)],
        attention_heads=1,
    )


def trained(workplace: Workplace, unit: Unit, name: str) -> Row:
    """One fixed architecture; `unit` is the comparison's own of MeL on the same scenario."""
    chain = chain_unit(unit)
    store = workplace.store(chain)
    heavy_result = workplace.cache.done(chain).outputs["heavyResults"][unit.scenario]
    adapted = read_object(store, heavy_result, StepResult)
    protocol = workplace.protocol
    run = FIRST_RUN + list(CASCADES).index(name)
    config = TrainLightConfig(
        store=workplace.address(chain),
        owner=owner(unit.scenario),
        run=run,
        seed=unit.seed,
        threads=protocol.threads,
        identity=identity({"unit": unit.model_dump_json(), "cascade": name}),
        manifest=Prepared.of(workplace, unit.seed).manifests[unit.scenario],
        base_version=adapted.outputs["agnosticVersion"],
        heavy_result=heavy_result,
        teacher=protocol.teacher,
        max_flops=NO_LIMIT,
        light_version=f"fixed-{run}",
        architecture=cascade(CASCADES[name], protocol.light_width),
        training=protocol.training,
        light_training=protocol.light_training,
    )
    card = read_object(store, workplace.carry_out(unit, config).outputs["cardKey"], ModelCard)
    row = {"seed": unit.seed, "scenario": unit.scenario, "method": name, "encoder": unit.encoder, "flops": card.flops}
    return {**row, **figures(card.metrics["test"])}


def measure(workplace: Workplace, initial: int, teachers: str, seeds: int, jobs: int) -> Measured:
    """Rows of every architecture, and of MeL and Ours beside them."""
    units = [
        Unit.model_validate(
            {"kind": "light", "seed": seed, "encoder": teachers, "initial": initial, "scenario": scenario}
        )
        for seed in range(seeds)
        for scenario in ablation_scenarios(list(Prepared.of(workplace, seed).manifests), seed, SCENARIOS)
    ]
    rows = [
        {name: value for name, value in found.model_dump().items() if name in SHOWN}
        for unit in units
        for method in (PREDEFINED, SEARCHED)
        for found in workplace.cache.done(unit.model_copy(update={"variant": method})).rows
    ]
    work = [(workplace, unit, name) for unit in units for name in CASCADES]
    for number, row in enumerate(mapped(trained, work, jobs), start=1):
        where = f"seed {row['seed']}, {row['scenario']}, {row['method']}"
        print(f"{number} of {len(work)}: {where}: AUC {row['auc']:.4f}", file=sys.stderr, flush=True)
        rows.append(row)
    return rows, list(claims(rows)), table(rows)


def claims(rows: Sequence[Row]) -> Iterator[Claim]:
    """Of each architecture the difference to MeL, paired by scenario and seed. There is no target."""
    frame = pl.DataFrame(rows)
    for method in [*CASCADES, SEARCHED]:
        found = difference(frame, {"method": method}, {"method": PREDEFINED})
        assert found, "all were trained"
        yield shown(f"{method} − MeL, AUC", found)


def table(rows: Sequence[Row]) -> pl.DataFrame:
    """Means over scenarios and seeds, the cheapest first."""
    means = [pl.col("flops").mean().round().cast(pl.Int64), pl.col("auc").mean(), pl.len().alias("rows")]
    return pl.DataFrame(rows).group_by("method").agg(means).sort("flops")


def parser() -> argparse.ArgumentParser:
    wanted = common_parser(MODULE, __doc__)
    wanted.add_argument("--seeds", type=int, default=5, metavar="N", help="repetitions, of the seeds 0 to N − 1")
    wanted.add_argument("--encoder", type=encoder, default="lstm", help="of the heavy models that teach")
    wanted.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    return wanted


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status as `carry_out` has it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)

    def measured(workplace: Workplace, initial: int) -> Measured:
        return measure(workplace, initial, options.encoder, options.seeds, options.jobs)

    return carry_out(MODULE, given, options, measured)


if __name__ == "__main__":
    sys.exit(main())
