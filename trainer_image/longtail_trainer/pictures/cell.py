"""The cell: what each layer reads, what it computes, what is added to it, and how the layers are summed up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from longtail_api.store_objects import LightArchitecture
from longtail_trainer.pictures.axes import large
from longtail_trainer.pictures.drawing import BLUE, GRAY, GREEN, INK, VERMILLION, Drawing, shortened

MARGIN, NODE, NODE_HEIGHT, COLUMN, FIRST = 24, 124, 54, 208, 118
"""Pixels: around it all; a layer's box; from one layer to the next; from the original input's box to layer 1's."""
LANE = 18
"""Between two edges that run side by side."""
PLUS, WEIGHTS_PORT, PORT = 22, 36, 52
"""Pixels from a box's right side to its sum, to where its output goes to the attentive sum, and to other layers."""
INPUT_WIDTH = 76
MOST_CHARACTERS = 12
_RESIDUAL_DASH = "6 3"


@dataclass(frozen=True)
class CellParts:
    """A cell and its figures.

    layer_flops: of each layer with its residual additions, all sequences together. other_flops: of the light model
    outside of its layers. weights: of each layer in the attentive sum, by sequence: means over samples; empty where
    they aren't known (yet).
    """

    architecture: LightArchitecture
    layer_flops: list[int]
    other_flops: int
    max_flops: int | None = None
    weights: Mapping[str, Sequence[float]] = field(default_factory=dict[str, Sequence[float]])


@dataclass(frozen=True)
class Edge:
    """From output `source` (0: the original input) to layer `target`."""

    source: int
    target: int


def cell(parts: CellParts) -> str:
    """Left to right: the original input, then the layers. Above: inputs that skip layers. Below: residual edges,
    and the attentive sum (ALT III-D, Fig. 6)."""
    layers = parts.architecture.layers
    skips = [Edge(layer.input, number) for number, layer in enumerate(layers, 1) if layer.input != number - 1]
    residuals = [Edge(source, number) for number, layer in enumerate(layers, 1) for source in sorted(layer.residuals)]
    above, below = lanes(skips), lanes(residuals)
    middle = 112 + LANE * (1 + max(above.values(), default=-1)) + NODE_HEIGHT / 2
    sum_top = middle + NODE_HEIGHT / 2 + 24 + LANE * (1 + max(below.values(), default=-1)) + 15 * len(parts.weights)
    width = max(_port(len(layers)) + MARGIN + 40, 600)
    drawing = Drawing(f"Cell of {len(layers)} layers", width, sum_top + 34 + MARGIN)
    _head(drawing, parts)
    _nodes(drawing, parts, middle)
    for edge in skips:
        lane = middle - NODE_HEIGHT / 2 - 14 - LANE * above[edge]
        end = _left(edge.target)
        drawing.arrow((_port(edge.source), middle), (_port(edge.source), lane), (end - 14, lane), (end - 14, middle),
                      (end, middle), stroke=BLUE)  # fmt: skip
        drawing.circle((_port(edge.source), lane), 2.5, BLUE)
    _residuals(drawing, residuals, below, middle)
    for number in range(len(layers) + 1):
        drawing.circle((_port(number), middle), 2.5, INK)
    _attentive_sum(drawing, parts, middle, sum_top)
    return drawing.svg()


def lanes(edges: Sequence[Edge]) -> dict[Edge, int]:
    """A lane for each edge, the lowest free one, short edges first: edges in one lane never overlap."""
    taken: list[list[Edge]] = []
    result: dict[Edge, int] = {}
    for edge in sorted(edges, key=lambda one: (one.target - one.source, one.source)):
        free = (number for number, lane in enumerate(taken) if all(_apart(edge, other) for other in lane))
        lane = next(free, len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append(edge)
        result[edge] = lane
    return result


def _apart(one: Edge, other: Edge) -> bool:
    return one.target <= other.source or other.target <= one.source


def _left(layer: int) -> float:
    """Of a layer's box; 0 is the original input's."""
    return MARGIN if layer == 0 else MARGIN + FIRST + COLUMN * (layer - 1)


def _port(output: int) -> float:
    """Where other layers take an output."""
    return MARGIN + INPUT_WIDTH + 16 if output == 0 else _left(output) + NODE + PORT


def _plus(layer: int) -> float:
    """Where residual edges are added to a layer's output."""
    return _left(layer) + NODE + PLUS


def _head(drawing: Drawing, parts: CellParts) -> None:
    count = len(parts.architecture.layers)
    total = sum(parts.layer_flops) + parts.other_flops
    budget = "" if parts.max_flops is None else f", of {parts.max_flops:,} allowed"
    title = f"Cell: {count} layer{'s' if count > 1 else ''} of width {parts.architecture.width}"
    drawing.text((MARGIN, 26), title, size=15, bold=True)
    words = f"{total:,} FLOPs{budget}: {sum(parts.layer_flops):,} in the layers, {parts.other_flops:,} outside of them"
    drawing.text((MARGIN, 46), words, fill=GRAY)
    drawing.arrow((MARGIN, 68), (MARGIN + 32, 68), stroke=BLUE)
    drawing.text((MARGIN + 38, 72), "chosen input")
    drawing.arrow((MARGIN + 146, 68), (MARGIN + 178, 68), stroke=VERMILLION, dash=_RESIDUAL_DASH)
    drawing.text((MARGIN + 184, 72), "residual edge, added")
    drawing.line((MARGIN + 344, 68), (MARGIN + 376, 68), stroke=GREEN, width=3)
    known = ", weight: mean over samples" if parts.weights else ""
    drawing.text((MARGIN + 382, 72), f"attentive sum{known}")


def _nodes(drawing: Drawing, parts: CellParts, middle: float) -> None:
    top = middle - NODE_HEIGHT / 2
    drawing.box(_left(0), top, INPUT_WIDTH, NODE_HEIGHT, "#f4f4f4", GRAY, 4)
    drawing.text((_left(0) + INPUT_WIDTH / 2, middle - 3), "original", size=11, anchor="middle")
    drawing.text((_left(0) + INPUT_WIDTH / 2, middle + 12), "input", size=11, anchor="middle")
    drawing.line((_left(0) + INPUT_WIDTH, middle), (_port(0), middle), stroke=INK, width=1.5)
    for number, (layer, flops) in enumerate(zip(parts.architecture.layers, parts.layer_flops, strict=True), 1):
        left = _left(number)
        center = left + NODE / 2
        drawing.box(left, top, NODE, NODE_HEIGHT, "#eaf3fa", BLUE, 4)
        drawing.text((center, top + 15), f"layer {number}", size=10.5, anchor="middle", fill=GRAY)
        drawing.text((center, top + 31), layer.operation, size=12.5, anchor="middle", bold=True)
        drawing.text((center, top + 47), f"{large(flops)} FLOPs", size=10.5, anchor="middle")
        if layer.input == number - 1:
            drawing.arrow((_port(number - 1), middle), (left, middle), stroke=BLUE)
        plus = _plus(number)
        drawing.line((left + NODE, middle), (_port(number), middle), stroke=INK, width=1.5)
        if layer.residuals:
            drawing.circle((plus, middle), 8, "#ffffff", VERMILLION, 1.5)
            drawing.line((plus - 5, middle), (plus + 5, middle), stroke=VERMILLION, width=1.5)
            drawing.line((plus, middle - 5), (plus, middle + 5), stroke=VERMILLION, width=1.5)


def _residuals(drawing: Drawing, edges: Sequence[Edge], lane: Mapping[Edge, int], middle: float) -> None:
    """One line down from each output, a lane for each edge, one line up to each sum. A dot: here a lane begins."""

    def depth(edge: Edge) -> float:
        return middle + NODE_HEIGHT / 2 + 14 + LANE * lane[edge]

    for source in sorted({edge.source for edge in edges}):
        deepest = max(depth(edge) for edge in edges if edge.source == source)
        drawing.line((_port(source), middle), (_port(source), deepest), stroke=VERMILLION, width=1.5,
                     dash=_RESIDUAL_DASH)  # fmt: skip
    for target in sorted({edge.target for edge in edges}):
        x = _plus(target)
        deepest = max(depth(edge) for edge in edges if edge.target == target)
        drawing.arrow((x, deepest), (x, middle + 8), stroke=VERMILLION, dash=_RESIDUAL_DASH)
    for edge in edges:
        start, end = (_port(edge.source), depth(edge)), (_plus(edge.target), depth(edge))
        drawing.line(start, end, stroke=VERMILLION, width=1.5, dash=_RESIDUAL_DASH)
        drawing.circle(start, 2.5, VERMILLION)


def _attentive_sum(drawing: Drawing, parts: CellParts, middle: float, top: float) -> None:
    count = len(parts.architecture.layers)
    right = _port(count) + 24
    drawing.box(_left(1), top, right - _left(1), 30, "#e7f5f0", GREEN, 4)
    drawing.text(((_left(1) + right) / 2, top + 20), "attentive sum of the layers", size=11, anchor="middle")
    for number in range(1, count + 1):
        x = _left(number) + NODE + WEIGHTS_PORT
        shares = [weights[number - 1] for weights in parts.weights.values()]
        width = 1 + 5 * sum(shares) / len(shares) if shares else 2.0
        drawing.arrow((x, middle), (x, top), stroke=GREEN, width=width)
        for line, (name, weights) in enumerate(reversed(list(parts.weights.items()))):
            words = f"{weights[number - 1]:.2f}"
            if len(parts.weights) > 1:
                words = f"{shortened(name, MOST_CHARACTERS)} {words}"
            drawing.text((x - 9, top - 9 - 15 * line), words, size=11, anchor="end")
