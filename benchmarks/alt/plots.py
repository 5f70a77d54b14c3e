"""One picture per table."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display is needed

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.alt.tables import Table


def draw(table: Table, folder: Path) -> Path:
    """The table as `folder/<name>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [str(name) for name in table.frame[table.x]]
    wide = table.kind != "lines"
    figure = Figure(figsize=(max(6.0, 0.45 * len(names) * (len(table.ys) if wide else 1) + 2), 4), layout="constrained")
    axes = figure.subplots()
    for number, column in enumerate(table.ys):
        values = np.array([np.nan if value is None else value for value in table.frame[column]], dtype=float)
        _series(axes, table, values, column, number)
    axes.set_xticks(
        range(len(names)), names, rotation=0 if len(names) < 5 else 60, ha="center" if len(names) < 5 else "right"
    )
    axes.set_ylabel(table.unit)
    axes.set_title(table.title)
    if len(table.ys) > 1:
        axes.legend(fontsize="small")
    path = folder / f"{table.name}.png"
    figure.savefig(path, dpi=110)
    return path


def _series(axes: Axes, table: Table, values: np.ndarray, label: str, number: int) -> None:
    places = np.arange(len(values))
    if table.kind == "bars":
        width = 0.8 / len(table.ys)
        axes.bar(places + (number - (len(table.ys) - 1) / 2) * width, values, width, label=label)
        shown = values[np.isfinite(values)]
        if table.unit == "AUC" and len(shown):
            # Bars from 0 would all look alike: AUCs start where the smallest of the table does.
            low = float(min(shown.min() - 0.02, axes.get_ylim()[0] or 1.0))
            axes.set_ylim(max(0.0, low), None)
    else:
        axes.plot(places, values, "o-" if table.kind == "lines" else "o", label=label)
