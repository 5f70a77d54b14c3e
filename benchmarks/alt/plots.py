"""One picture per table."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display is needed

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.alt.tables import Table


def draw(table: Table, folder: Path) -> Path:
    """The table as `folder/<name>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    places = 8 if table.kind == "scatter" else table.frame.height
    figure = Figure(figsize=(max(6.0, 0.45 * places + 3), 5), layout="constrained")
    axes = figure.subplots()
    if table.kind == "scatter":
        _scatter(axes, table)
    else:
        _series(axes, table)
    axes.set_ylabel("AUC")
    axes.set_title(table.title)
    axes.grid(axis="y", alpha=0.3)
    path = folder / f"{table.name}.png"
    figure.savefig(path, dpi=110)
    return path


def _series(axes: Axes, table: Table) -> None:
    """A mark for each value, joined where the places have an order; not bars, whose height would mislead below 0.5."""
    names = [str(name) for name in table.frame[table.x]]
    if table.also:
        names = [f"{name}, {more}" for name, more in zip(names, table.frame[table.also], strict=True)]
    for column in table.ys:
        values = [float("nan") if value is None else value for value in table.frame[column]]
        axes.plot(range(len(names)), values, "o-" if table.kind == "lines" else "o", label=column)
    steep = max(map(len, names)) * len(names) > 60
    axes.set_xticks(range(len(names)), names, rotation=60 if steep else 0, ha="right" if steep else "center")
    axes.margins(x=0.1)
    if len(table.ys) > 1:
        axes.legend(fontsize="small")


def _scatter(axes: Axes, table: Table) -> None:
    """AUC against cost, a logarithmic axis; each point with its name."""
    for name, cost, auc in table.frame.select("method", table.x, *table.ys).drop_nulls().iter_rows():
        axes.plot([cost], [auc], "o")
        axes.annotate(str(name), (cost, auc), textcoords="offset points", xytext=(6, 4))
    axes.set_xscale("log")
    axes.set_xlabel(f"{table.x} of one prediction")
    axes.margins(x=0.25, y=0.15)
