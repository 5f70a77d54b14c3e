"""Tables that any comparison prints and draws, of the rows that there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from benchmarks.comparison.rows import FigureRow
from benchmarks.comparison.statistics import difference

AVERAGES, DIFFERENCES = "averages-", "differences-"
"""How the names of these tables begin; a result file has their lines."""
AGAIN = ", other seed"
"""What the name of a method ends with that is another one, trained again with another seed."""
MANY_ROWS = 100
"""Test rows from which on a scenario's AUC is more than chance."""


@dataclass(frozen=True)
class Table:
    """One table and its picture. x: the column of places (of costs, for `scatter`); ys: the AUC columns drawn (for
    `intervals`: figure, low, high)."""

    name: str
    title: str
    frame: pl.DataFrame
    kind: Literal["points", "lines", "scatter", "intervals"]
    x: str
    ys: tuple[str, ...]
    also: str | None = None
    """Column that names a place together with `x`; for `intervals`, the groups of rows."""


def row_frame(rows: Sequence[FigureRow], kind: type[FigureRow]) -> pl.DataFrame:
    """One line per row, with the columns of this kind of row."""
    schema = {name: _type(field.annotation) for name, field in kind.model_fields.items()}
    return pl.DataFrame([row.model_dump() for row in rows], schema=schema)


def _type(annotation: object) -> type[pl.DataType]:
    if annotation is str:
        return pl.String
    return pl.Int64 if annotation in (int, int | None) else pl.Float64


def ordered(frame: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """The lines of these methods, in this order."""
    return pl.DataFrame({"method": list(order)}).join(frame, on="method", how="inner", maintain_order="left")


def averages(rows: pl.DataFrame, order: Sequence[str], name: str, groups: Sequence[str] = ()) -> Table:
    """AUC, log loss and calibration of each method, averaged over scenarios and seeds.

    The plain average counts a scenario of nine test rows as one of a thousand. So beside it stand that over scenarios
    of at least 100 test rows (in that repetition), and that of all weighted by test rows. groups: values of the column
    `group`, averaged apart.
    """
    auc, weight = pl.col("auc"), pl.col("test_rows").filter(pl.col("auc").is_not_null())
    many = f"AUC, ≥ {MANY_ROWS} rows"
    parts: list[pl.Expr] = [
        auc.mean().alias("AUC"),
        auc.filter(pl.col("test_rows") >= MANY_ROWS).mean().alias(many),
        ((auc * pl.col("test_rows")).sum() / weight.sum()).alias("AUC by rows"),
        auc.count().alias("rows"),
    ]
    parts += [auc.filter(pl.col("group") == group).mean().alias(f"AUC, {group}") for group in groups]
    parts += [pl.col("log_loss").mean().alias("log loss"), pl.col("calibration_error").mean().alias("ECE")]
    frame = ordered(rows.group_by("method").agg(parts), order).fill_nan(None)
    ys = ("AUC", *(f"AUC, {group}" for group in groups))
    return Table(f"{AVERAGES}{name}", f"Averages over scenarios and seeds, {name}", frame, "points", "method", ys)


def scenarios(rows: pl.DataFrame, order: Sequence[str], sized_by: str, shown: Sequence[str], name: str) -> Table:
    """AUC of each method by scenario, mean over seeds, the scenario with most training rows of `sized_by` first."""
    size = pl.col("training_rows").filter(pl.col("method") == sized_by).mean().cast(pl.Int64).alias("training rows")
    sizes = rows.group_by("scenario").agg(size)
    wide = rows.group_by("scenario", "method").agg(pl.col("auc").mean()).pivot("method", index="scenario", values="auc")
    methods = [method for method in order if method in wide.columns]
    frame = sizes.join(wide, on="scenario").select("scenario", "training rows", *methods)
    frame = frame.sort("training rows", "scenario", descending=[True, False])
    drawn = tuple(method for method in shown if method in methods)
    return Table(f"scenarios-{name}", f"AUC by scenario, {name}", frame, "points", "scenario", drawn)


def differences(groups: Mapping[str, pl.DataFrame], compared: Sequence[tuple[str, str]], name: str) -> Table:
    """AUC of one method less that of another on the same test rows, for each group of rows.

    low, high: 95 % over seeds and scenarios. What a method trained again differs by from itself is a line like any.
    """
    lines: list[tuple[object, ...]] = []
    for left, right in compared:
        for group, some in groups.items():
            if found := difference(some, {"method": left}, {"method": right}):
                lines.append((f"{left} − {right}", group, found.mean, found.low, found.high, found.pairs))
    columns: dict[str, Any] = {"methods": pl.String, "scenarios": pl.String}
    columns |= dict.fromkeys(("difference", "low", "high"), pl.Float64) | {"pairs": pl.Int64}
    frame = pl.DataFrame(lines, schema=columns, orient="row")
    ys = ("difference", "low", "high")
    title = f"Paired differences in AUC, {name}"
    return Table(f"{DIFFERENCES}{name}", title, frame, "intervals", "methods", ys, "scenarios")
