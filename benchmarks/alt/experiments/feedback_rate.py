"""Whether feedback helps later scenarios when it moves the agnostic model further: the comparison's chain at other η.

    python -m benchmarks.alt.experiments.feedback_rate --dataset DIR [--out DIR] [--seeds 5] [--encoder lstm]
        [--rates 0.03,0.1,0.3] [--jobs N] [--json FILE]

Scenarios arrive one at a time, in the comparison's order and from its version 1; only η of Eq. 2 is another one. Beside
them stand the comparison's own chain and, if it had the ablation, the one in which nobody's feedback is folded.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.alt.experiments import Measured, Row, carry_out, common_parser, encoder, mapped
from benchmarks.alt.methods import ADAPTED, FINAL
from benchmarks.alt.protocol import Folding, Protocol
from benchmarks.alt.rows import Outcome, Unit
from benchmarks.alt.units import chain
from benchmarks.alt.units.repetition import arrival_order
from benchmarks.alt.units.workplace import Prepared, Workplace
from benchmarks.comparison.claims import shown
from benchmarks.comparison.results import Claim
from benchmarks.comparison.statistics import difference
from longtail_api.run_config import StoreAddress

MODULE = "benchmarks.alt.experiments.feedback_rate"
FROZEN = 0.0
"""The rate at which nobody's feedback is folded."""


@dataclass(frozen=True)
class AtRate(Workplace):
    """The comparison's workplace, but for η and for where chains are kept."""

    rate: float

    @property
    def protocol(self) -> Protocol:
        protocol = self.cache.protocol
        return protocol.model_copy(
            update={"meta_update": protocol.meta_update.model_copy(update={"learning_rate": self.rate})}
        )

    def address(self, unit: Unit) -> StoreAddress:
        if unit.kind != "chain":
            return super().address(unit)
        folder: Path = self.cache.folder / "experiments" / f"chain-{self.cache.key(unit)}-rate-{self.rate:g}"
        return StoreAddress(uri=folder.resolve().as_uri())


def rows_of(workplace: Workplace, unit: Unit, rate: float, outcome: Outcome) -> Iterator[Row]:
    """Of MeH and of the last version, with the place in which the scenario arrived."""
    order = arrival_order(list(Prepared.of(workplace, unit.seed).manifests), unit.seed)
    for row in outcome.rows:
        if row.method in (ADAPTED, FINAL) and row.auc is not None:
            yield {
                "seed": unit.seed,
                "scenario": row.scenario,
                "arrival": order.index(row.scenario),
                "arrivals": len(order),
                "method": row.method,
                "rate": rate,
                "auc": round(row.auc, 6),
            }


def at_rate(workplace: Workplace, unit: Unit, rate: float) -> list[Row]:
    """One chain."""
    return list(rows_of(workplace, unit, rate, chain.run(unit, AtRate(workplace.dataset, workplace.cache, rate))))


def measure(workplace: Workplace, units: Sequence[Unit], rates: Sequence[float], jobs: int) -> list[Row]:
    """Rows of every chain, the comparison's own among them. Raises `LookupError` where that has none."""
    own = float(workplace.protocol.meta_update.learning_rate)
    rows = [row for unit in units for row in rows_of(workplace, unit, own, workplace.cache.done(unit))]
    for unit in units:
        frozen = workplace.cache.outcome(unit.model_copy(update={"folding": Folding(mode="Frozen")}))
        rows += rows_of(workplace, unit, FROZEN, frozen) if frozen else []
    work = [(workplace, unit, rate) for unit in units for rate in rates if rate not in (own, FROZEN)]
    for (_, unit, rate), found in zip(work, mapped(at_rate, work, jobs), strict=True):
        print(f"seed {unit.seed}, rate {rate:g}: done", file=sys.stderr, flush=True)
        rows += found
    return rows


def claims(rows: Sequence[Row]) -> Iterator[Claim]:
    """Differences to the frozen agnostic model, paired by scenario and seed. There is no target."""
    frame = pl.DataFrame(rows)
    late = frame.filter(3 * pl.col("arrival") >= 2 * pl.col("arrivals"))
    compared = (("MeH's AUC, last third of arrivals", late, ADAPTED), ("final agnostic AUC", frame, FINAL))
    for rate in sorted(set(frame["rate"]) - {FROZEN}):
        for words, some, method in compared:
            if found := difference(some, {"method": method, "rate": rate}, {"method": method, "rate": FROZEN}):
                yield shown(f"η {rate:g} − frozen agnostic, {words}", found)


def table(rows: Sequence[Row]) -> pl.DataFrame:
    """Means over scenarios and seeds by rate; 0 is the frozen agnostic model."""
    late = 3 * pl.col("arrival") >= 2 * pl.col("arrivals")
    columns = {
        "MeH": pl.col("method") == ADAPTED,
        "MeH, last third": (pl.col("method") == ADAPTED) & late,
        "final agnostic": pl.col("method") == FINAL,
    }
    means = [pl.col("auc").filter(chosen).mean().alias(name) for name, chosen in columns.items()]
    return pl.DataFrame(rows).group_by("rate").agg(means).sort("rate")


def parser() -> argparse.ArgumentParser:
    wanted = common_parser(MODULE, __doc__)
    wanted.add_argument("--seeds", type=int, default=5, metavar="N", help="repetitions, of the seeds 0 to N − 1")
    wanted.add_argument("--encoder", type=encoder, default="lstm", help="of the heavy model")
    wanted.add_argument("--rates", default="0.03,0.1,0.3", metavar="η,…")
    wanted.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    return wanted


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status as `carry_out` has it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    rates = [float(rate) for rate in options.rates.split(",")]

    def measured(workplace: Workplace, initial: int) -> Measured:
        units = [
            Unit.model_validate({"kind": "chain", "seed": seed, "encoder": options.encoder, "initial": initial})
            for seed in range(options.seeds)
        ]
        rows = measure(workplace, units, rates, options.jobs)
        return rows, list(claims(rows)), table(rows)

    return carry_out(MODULE, given, options, measured)


if __name__ == "__main__":
    sys.exit(main())
