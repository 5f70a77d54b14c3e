"""All rows as one table, with what the draw says of each scenario."""

from collections.abc import Mapping, Sequence

import polars as pl

from benchmarks.alt.rows import Row
from benchmarks.alt.units.repetition import arrival_order
from benchmarks.comparison.rows import FigureRow
from benchmarks.comparison.tables import row_frame

LATENCIES = ("p50_milliseconds", "p99_milliseconds")
IDENTITY = ["seed", "scenario", "method", "encoder", "initial", "folding"]


def results(rows: Sequence[FigureRow], scenarios: Mapping[int, Sequence[str]], main_initial: int) -> pl.DataFrame:
    """One line per row, with `arrival` (from 0), `arrivals` and `group` (initial or emerging).

    Latencies, which are measured last, join the rows of their models. Where initial scenarios don't matter to a
    method, its rows are grouped by the comparison's own draw. scenarios: all of them, by seed.
    """
    frame = row_frame(rows, Row)
    timed = frame.filter(pl.col("auc").is_null() & pl.col("p50_milliseconds").is_not_null())
    frame = frame.filter(pl.col("p50_milliseconds").is_null()).drop(LATENCIES)
    frame = frame.join(timed.select(*IDENTITY, *LATENCIES), on=IDENTITY, how="left", maintain_order="left")
    return frame.join(
        _places(frame, scenarios, main_initial), on=["seed", "scenario", "initial"], how="left", maintain_order="left"
    )


def _places(frame: pl.DataFrame, scenarios: Mapping[int, Sequence[str]], main_initial: int) -> pl.DataFrame:
    initials = frame["initial"].unique().to_list()
    places = [
        (seed, scenario, initial, arrival, len(names), "initial" if arrival < (initial or main_initial) else "emerging")
        for seed, names in scenarios.items()
        for arrival, scenario in enumerate(arrival_order(names, seed))
        for initial in initials
    ]
    columns = ["seed", "scenario", "initial", "arrival", "arrivals", "group"]
    kinds = [pl.Int64, pl.String, pl.Int64, pl.Int64, pl.Int64, pl.String]
    return pl.DataFrame(places, schema=dict(zip(columns, kinds, strict=True)), orient="row")


def columns_to_write(rows: pl.DataFrame) -> pl.DataFrame:
    """Those of a row and what the draw says of it, sorted."""
    return rows.select(*Row.model_fields, "arrival", "group").sort(
        "seed", "encoder", "initial", "method", "folding", "scenario"
    )
