"""Learning curves: the losses of each epoch, and the epoch whose weights were kept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longtail_trainer.pictures.axes import Scale, axes, decimals, padded
from longtail_trainer.pictures.drawing import BLUE, GREEN, INK, SIZE, VERMILLION, Drawing, Point

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 78, 56
STYLES = ((BLUE, ""), (VERMILLION, "7 4"), (GREEN, "2 3"))
"""Color and dash: two cues, so that either is enough."""
MOST_MARKS = 40
"""Up to so many epochs, each is marked with a dot."""


@dataclass(frozen=True)
class Curve:
    """One loss. points: (epoch, loss), by ascending epoch; only finite losses."""

    name: str
    points: list[tuple[int, float]]

    @classmethod
    def recorded(cls, name: str, records: Sequence[Mapping[str, Any]], field: str) -> "Curve":
        """From lines of `metrics.jsonl`. An epoch that was repeated after a kill counts once, as it was last."""
        values = {
            int(record["epoch"]): float(record[field])
            for record in records
            if "epoch" in record and record.get(field) is not None and math.isfinite(record[field])
        }
        return cls(name, sorted(values.items()))


def loss_curves(records: Sequence[Mapping[str, Any]], rows: str = "training rows") -> list[Curve]:
    """The losses that a training reported after each epoch. rows: that it went over."""
    return [
        Curve.recorded(rows, records, "trainingLoss"),
        Curve.recorded("validation rows", records, "validationLoss"),
    ]


@dataclass(frozen=True)
class Kept:
    """The epoch whose weights are the result, 0 being the weights at the start, and its validation loss."""

    epoch: int
    loss: float


def learning_curves(title: str, curves: Sequence[Curve], kept: Kept | None = None) -> str:
    """Losses over epochs. Raises `ValueError` where there is no epoch at all."""
    shown = [curve for curve in curves if curve.points]
    if not shown:
        raise ValueError("no epoch was recorded")
    if kept is not None and not math.isfinite(kept.loss):
        kept = None
    every = [point for curve in shown for point in curve.points] + ([(kept.epoch, kept.loss)] if kept else [])
    drawing = Drawing(title, WIDTH, HEIGHT)
    first, last = min(epoch for epoch, _ in every), max(epoch for epoch, _ in every)
    room = max(last - first, 1) * 0.03
    x = Scale(first - room, last + room, LEFT, WIDTH - RIGHT)
    y = Scale(*padded([loss for _, loss in every]), HEIGHT - BOTTOM, TOP)
    whole = [value for value in x.ticks() if value == int(value)]
    axes(drawing, x, y, "epoch", "loss", decimals, decimals, sorted({first, last, *_apart(whole, first, last)}))
    drawing.text((LEFT, 24), title, size=15, bold=True)
    for number, curve in enumerate(shown):
        color, dash = STYLES[number % len(STYLES)]
        points = [(x(epoch), y(loss)) for epoch, loss in curve.points]
        drawing.line(*points, stroke=color, width=2, dash=dash)
        if len(points) <= MOST_MARKS:
            for point in points:
                drawing.circle(point, 2.5, color)
        _legend(drawing, LEFT + number * 270, curve.name, color, dash)
    if kept is not None:
        _mark(drawing, (x(kept.epoch), y(kept.loss)), kept, x, y)
    return drawing.svg()


def _apart(ticks: list[float], first: int, last: int) -> list[int]:
    """Ticks that leave room for the first and the last epoch's."""
    room = (last - first) * 0.05
    return [int(tick) for tick in ticks if first + room < tick < last - room]


def _legend(drawing: Drawing, at: float, name: str, color: str, dash: str) -> None:
    drawing.line((at, 46), (at + 28, 46), stroke=color, width=2, dash=dash)
    drawing.text((at + 34, 46 + SIZE / 3), name)


def _mark(drawing: Drawing, at: Point, kept: Kept, x: Scale, y: Scale) -> None:
    drawing.line((at[0], y.start), (at[0], y.end), stroke=INK, dash="1 3")
    drawing.circle(at, 6, "none", INK, 1.5)
    words = "kept: the start" if kept.epoch == 0 else f"kept: epoch {kept.epoch}"
    right = at[0] < (x.start + x.end) / 2
    drawing.text((at[0] + (6 if right else -6), y.end - 6), words, anchor="start" if right else "end")
