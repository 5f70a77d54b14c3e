"""One picture per table."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display is needed

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.comparison.tables import Table


def draw(table: Table, folder: Path) -> Path:
    """The table as `folder/<name>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    places = 8 if table.kind == "scatter" else table.frame.height
    long = 0.45 * places + 3 if table.kind != "intervals" else 0.25 * places + 1.5
    figure = Figure(figsize=(8, long) if table.kind == "intervals" else (max(6.0, long), 5), layout="constrained")
    axes = figure.subplots()
    if table.kind == "intervals":
        _intervals(axes, table)
    else:
        (_scatter if table.kind == "scatter" else _series)(axes, table)
        axes.set_ylabel("AUC")
        axes.grid(axis="y", alpha=0.3)
    axes.set_title(table.title)
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


def _intervals(axes: Axes, table: Table) -> None:
    """A line for each row: the figure with its interval, around zero; rows of one group in one color."""
    assert table.also is not None, "intervals come in groups"
    middle, low, high = (table.frame[column].to_numpy() for column in table.ys)
    groups = table.frame[table.also].to_list()
    for number, group in enumerate(dict.fromkeys(groups)):
        rows = [row for row, one in enumerate(groups) if one == group]
        error = [middle[rows] - low[rows], high[rows] - middle[rows]]
        axes.errorbar(middle[rows], rows, xerr=error, fmt="o", color=f"C{number}", label=group, capsize=2)
    names = table.frame[table.x].to_list()
    firsts = [row for row in range(len(names)) if row == 0 or names[row] != names[row - 1]]
    axes.set_yticks(firsts, [names[row] for row in firsts])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("difference in AUC, with 95 % intervals over scenarios and seeds")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize="small")


def _scatter(axes: Axes, table: Table) -> None:
    """AUC against cost, a logarithmic axis."""
    for name, cost, auc in table.frame.select("method", table.x, *table.ys).drop_nulls().iter_rows():
        axes.plot([cost], [auc], "o", label=str(name))
    axes.set_xscale("log")
    axes.set_xlabel(f"{table.x} of one prediction")
    axes.margins(x=0.1, y=0.15)
    axes.legend(fontsize="small")
