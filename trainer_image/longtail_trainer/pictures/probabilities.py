"""How the distributions over a search space moved: panels of groups, one row an option, one column an epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from longtail_trainer.pictures.drawing import GRAY, INK, VERMILLION, Drawing

LABELS, CELLS, FIGURES, GAP = 126, 190, 44, 34
"""Pixels of a panel's parts from left to right, and between panels."""
PANEL = LABELS + CELLS + FIGURES
ROW, GROUP, TOP, HEAD, FOOT, MARGIN = 17, 24, 74, 18, 42, 20
PANELS_IN_A_ROW = 3
LEAST_WIDTH = 680
"""What title and legend take."""
MOST_COLUMNS = 60
LIGHT, DARK = (0xF3, 0xF6, 0xFA), (0x08, 0x30, 0x6B)
"""One hue from light to dark, so that the order shows in gray, too."""
_SHADES = 40


@dataclass(frozen=True)
class Distribution:
    """One group of a panel over the epochs: a choice, or on/off choices of a kind, each an option here.

    panel, title: what stands above. history: a list of probabilities for each epoch, one per option. picked: the
    options that the search chose.
    """

    panel: str
    title: str
    options: tuple[str, ...]
    history: list[list[float]]
    picked: frozenset[int]


def probabilities(epochs: Sequence[int], distributions: Sequence[Distribution]) -> str:
    """Shade: the probability. What was chosen is bold and marked. Raises `ValueError` where no epoch was recorded.

    What is chosen is the most probable *architecture inside the budget* (ALT Eq. 9), so not always the most probable
    option of every choice.
    """
    if not epochs or not distributions:
        raise ValueError("no epoch was recorded")
    shown = _columns(len(epochs))
    panels = list(dict.fromkeys(one.panel for one in distributions))
    rows = [panels[start : start + PANELS_IN_A_ROW] for start in range(0, len(panels), PANELS_IN_A_ROW)]
    heights = [max(_height(distributions, panel) for panel in row) for row in rows]
    columns = min(len(panels), PANELS_IN_A_ROW)
    width = max(2 * MARGIN + columns * PANEL + (columns - 1) * GAP, LEAST_WIDTH)
    drawing = Drawing("Architecture probabilities over the search", width, TOP + sum(heights))
    drawing.text((MARGIN, 24), "Architecture probabilities over the search", size=15, bold=True)
    _scale(drawing)
    top = float(TOP)
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            own = [one for one in distributions if one.panel == panel]
            _panel(drawing, MARGIN + column * (PANEL + GAP), top, panel, own, [epochs[i] for i in shown], shown)
        top += height
    return drawing.svg()


def _columns(count: int) -> list[int]:
    """Which epochs are shown: all, or so many evenly spread ones, the first and the last among them."""
    if count <= MOST_COLUMNS:
        return list(range(count))
    return [round(number * (count - 1) / (MOST_COLUMNS - 1)) for number in range(MOST_COLUMNS)]


def _height(distributions: Sequence[Distribution], panel: str) -> int:
    own = [one for one in distributions if one.panel == panel]
    return HEAD + sum(GROUP + ROW * len(one.options) for one in own) + FOOT


def _panel(
    drawing: Drawing, left: float, top: float, title: str, distributions: Sequence[Distribution],
    epochs: Sequence[int], shown: Sequence[int],
) -> None:  # fmt: skip
    start = left + LABELS
    width = CELLS / len(epochs)
    drawing.text((left, top), title, size=13, bold=True)
    drawing.text((start + CELLS + 6, top), "at the end", size=10, fill=GRAY)
    y = top + HEAD - 12
    for one in distributions:
        y += GROUP
        drawing.text((left, y - 5), one.title, size=10.5, fill=GRAY)
        for number, option in enumerate(one.options):
            chosen = number in one.picked
            middle = y + ROW / 2 + 4
            if chosen:
                drawing.polygon(
                    [(left, y + 4), (left + 7, y + ROW / 2), (left, y + ROW - 4)], VERMILLION
                )  # fmt: skip
            drawing.text((left + 11, middle), option, size=11, bold=chosen)
            shades = [shade(one.history[epoch][number]) for epoch in shown]
            for column, length in _alike(shades):
                drawing.box(start + column * width, y + 1, length * width, ROW - 2, shades[column], crisp=True)
            final = one.history[shown[-1]][number]
            drawing.text((start + CELLS + 6, middle), f"{final:.2f}", size=11, bold=chosen)
            y += ROW
    drawing.text((start, y + 14), str(epochs[0]), size=10, fill=GRAY)
    if len(epochs) > 1:
        drawing.text((start + CELLS / 2, y + 14), "epoch", size=10, anchor="middle", fill=GRAY)
        drawing.text((start + CELLS, y + 14), str(epochs[-1]), size=10, anchor="end", fill=GRAY)


def _alike(shades: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Start and length of each stretch of the same shade."""
    start = 0
    for _, stretch in groupby(shades):
        length = len(list(stretch))
        yield start, length
        start += length


def _scale(drawing: Drawing) -> None:
    left, top, width = MARGIN + 66, 38, 160
    drawing.text((MARGIN, top + 10), "probability", size=11)
    for step in range(_SHADES):
        drawing.box(
            left + 12 + step * width / _SHADES, top, width / _SHADES, 12, shade(step / (_SHADES - 1)), crisp=True
        )
    drawing.text((left, top + 10), "0", size=11)
    drawing.text((left + width + 18, top + 10), "1", size=11)
    after = left + width + 46
    drawing.polygon([(after, top + 1), (after + 7, top + 6), (after, top + 11)], VERMILLION)
    drawing.text(
        (after + 12, top + 10), "chosen, with the highest joint probability inside the budget", size=11, fill=INK
    )


def shade(probability: float) -> str:
    """From light (0) to dark (1)."""
    share = min(1.0, max(0.0, probability))
    return "#" + "".join(
        f"{round(light + (dark - light) * share):02x}" for light, dark in zip(LIGHT, DARK, strict=True)
    )
