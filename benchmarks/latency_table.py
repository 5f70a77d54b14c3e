"""Claim: a latency table, measured once, predicts how long architectures take that it never saw, and ranks them.

    python -m benchmarks.latency_table [--architectures 40] [--seed 0] [--json benchmarks/results/latency_table.json]

Features are invented, in the shape of the OULAD data set: one sequence of at most 16 events, the default search space.
The table is measured first; then architectures drawn uniformly are exported and measured whole, in turns, at batch 1,
maxLength and one thread. Compared are medians of the quietest block of each. Architectures are measured twice over: how
well the two agree is what any prediction could reach at most. Targets were set before anything was measured. Beside it
stands how well FLOPs rank the same architectures.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import polars as pl
import torch

from benchmarks.comparison.results import Claim, exit_status, write_result
from benchmarks.datasets.oulad import SCHEMA
from longtail_api.light_model_search import SearchSpace
from longtail_api.store_objects import Features, NumericEncoding
from longtail_trainer.data.features import sequence_columns, static_columns
from longtail_trainer.data.features.fitting import BINS
from longtail_trainer.export import export
from longtail_trainer.export.latency import prediction_timer
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.models.blocks.cell import one_line
from longtail_trainer.search.latency_cache import measured_table, parts_of
from longtail_trainer.search.latency_table import LatencyTable, quietest_blocks
from longtail_trainer.search.samplers.uniform import UniformSampler
from longtail_trainer.search.spaces.alt_cell import space_of

VOCABULARY = [f"value {number}" for number in range(10)]
EDGES = np.linspace(-1, 1, BINS + 1).tolist()
RANK_CORRELATION, RELATIVE_ERROR = 0.9, 0.25
"""Targets: Spearman's at least, mean relative error at most."""
ROUNDS, LONGEST_SECONDS = 100, 60.0
"""Of each of the two measurements: more than a table takes, as they stand for the truth."""
RESAMPLES = 2000

TWICE = "firstMilliseconds", "secondMilliseconds"

Row = dict[str, Any]


def features_of_the_shape() -> Features:
    """OULAD's columns, with vocabularies and ranges that are invented."""
    tables = [static_columns(SCHEMA), *(sequence_columns(sequence) for sequence in SCHEMA.behaviors)]
    return Features(
        data_schema=SCHEMA,
        vocabularies={column: VOCABULARY for table in tables for column in table.categorical},
        numeric={
            column: NumericEncoding(low=-1, high=1, center=0, scale=1, edges=EDGES)
            for table in tables
            for column in table.numeric
        },
    )


def predicted(table: LatencyTable, operations: Sequence[str], edges: int) -> float:
    """Milliseconds (median)."""
    return table.fixed + sum(table.operations[name] for name in operations) + edges * table.edge


def measure(architectures: int, seed: int) -> tuple[LatencyTable, float, list[Row]]:
    """The table, the seconds it took (its two exports included), and one row per architecture."""
    features, spec = features_of_the_shape(), SearchSpace()
    space = space_of(features, spec)
    sampler, generator = UniformSampler(space, space.largest_flops()), random.Random(seed)
    drawn = list({sampler.draw(generator): None for _ in range(architectures)})
    torch.manual_seed(seed)
    models = {picks: LightModel(features, space.decode_picks(picks)) for picks in drawn}
    # Before the table: the first export of a process prepares the exporter, which a search has to pay for anyway.
    timers = {picks: prediction_timer(model, export(model)) for picks, model in models.items()}
    started = time.monotonic()
    table = measured_table(parts_of(features, spec, []))
    seconds = time.monotonic() - started
    first, second = (quietest_blocks(timers, rounds=ROUNDS, longest_seconds=LONGEST_SECONDS) for _ in range(2))
    rows: list[Row] = []
    for picks in drawn:
        twice = [first[picks].p50_milliseconds, second[picks].p50_milliseconds]
        layers = space.decode_picks(picks).layers
        edges = sum(len(layer.residuals) for layer in layers)
        rows.append(
            {
                "architecture": one_line(space.decode_picks(picks)),
                "flops": space.flops(picks),
                "predictedMilliseconds": round(predicted(table, [layer.operation for layer in layers], edges), 5),
                "measuredMilliseconds": round(min(twice), 5),
                "firstMilliseconds": round(twice[0], 5),
                "secondMilliseconds": round(twice[1], 5),
            }
        )
    return table, seconds, sorted(rows, key=lambda row: row["measuredMilliseconds"])


def rank_correlation(
    rows: Sequence[Row], name: str = "predictedMilliseconds", other: str = "measuredMilliseconds"
) -> float:
    """Spearman's, of a figure with the measured time, or another."""
    pairs = pl.DataFrame({"one": [row[name] for row in rows], "other": [row[other] for row in rows]})
    return float(pairs.select(pl.corr("one", "other", method="spearman")).item())


def relative_error(rows: Sequence[Row]) -> float:
    """Mean of |predicted − measured| / measured."""
    return fmean(abs(row["predictedMilliseconds"] / row["measuredMilliseconds"] - 1) for row in rows)


def interval(rows: Sequence[Row], figure: Callable[[Sequence[Row]], float]) -> tuple[float, float]:
    """95 %, by bootstrap over architectures."""
    generator = random.Random(0)
    resampled = [figure(generator.choices(rows, k=len(rows))) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return round(float(low), 4), round(float(high), 4)


def claims(rows: Sequence[Row], seconds: float) -> list[Claim]:
    """What the figures must show; without a target where none was set."""
    rank, error = rank_correlation(rows), relative_error(rows)
    spearman = "rank correlation (Spearman) of"
    return [
        Claim(
            name=f"{spearman} predicted and measured latency",
            figure=round(rank, 4),
            interval=interval(rows, rank_correlation),
            target=f">= {RANK_CORRELATION}",
            holds=rank >= RANK_CORRELATION,
        ),
        Claim(
            name="mean relative error of predicted latency",
            figure=round(error, 4),
            interval=interval(rows, relative_error),
            target=f"<= {RELATIVE_ERROR}",
            holds=error <= RELATIVE_ERROR,
        ),
        Claim(
            name=f"{spearman} FLOPs and measured latency",
            figure=round(rank_correlation(rows, "flops"), 4),
            interval=interval(rows, lambda some: rank_correlation(some, "flops")),
        ),
        Claim(
            name=f"{spearman} two measurements of the same architectures",
            figure=round(rank_correlation(rows, *TWICE), 4),
            interval=interval(rows, lambda some: rank_correlation(some, *TWICE)),
        ),
        Claim(name="seconds that the table takes, exports included", figure=round(seconds, 1)),
    ]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m benchmarks.latency_table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--architectures", type=int, default=40)
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return result


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 where a target is missed."""
    chosen = parser().parse_args(arguments)
    torch.set_num_threads(1)
    started = time.monotonic()
    table, seconds, rows = measure(chosen.architectures, chosen.seed)
    print(f"{'predicted, ms':>13} {'measured, ms':>13} {'FLOPs':>9}  architecture")
    for row in rows:
        figures = f"{row['predictedMilliseconds']:13.4f} {row['measuredMilliseconds']:13.4f} {row['flops']:9,}"
        print(f"{figures}  {row['architecture']}")
    found = claims(rows, seconds)
    for claim in found:
        print(claim.line())
    if chosen.json:
        options = f"--architectures {chosen.architectures} --seed {chosen.seed}"
        command = f"python -m benchmarks.latency_table {options}"
        more = {"table": table.to_json_dict()}
        write_result(chosen.json, command, time.monotonic() - started, found, rows, more)
    return exit_status(found)


if __name__ == "__main__":
    sys.exit(main())
