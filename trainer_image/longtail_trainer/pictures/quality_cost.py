"""Quality against FLOPs: the heavy model, the light one, what the search considered, and the budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from longtail_api.store_objects import Metric
from longtail_trainer.pictures.axes import Scale, axes, decimals, large, padded
from longtail_trainer.pictures.drawing import BLUE, GREEN, INK, SIZE, VERMILLION, Drawing, Point

WIDTH, HEIGHT = 640, 440
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 128, 56
FEW_TIMES = 10
"""FLOPs that differ more than so many times stand on a logarithmic axis."""
_COLORS = (VERMILLION, BLUE)
_MARK = 6.0


@dataclass(frozen=True)
class Model:
    """A model, its FLOPs of one prediction, and its figure on test rows with the 95 % interval."""

    name: str
    flops: int
    figure: Metric


@dataclass(frozen=True)
class Candidates:
    """Architectures that a search looked at: (FLOPs, figure on validation rows). trained: each by itself, shortly;
    else with the weights they share."""

    points: list[tuple[int, float]]
    trained: bool = False


def quality_cost(
    metric: str, heavy: Model, light: Model, candidates: Candidates | None = None, budget: int | None = None
) -> str:
    """metric: as on the axis, such as `AUC`. A model whose figure can't be estimated is named, and has no mark.

    Raises `ValueError` where no figure is known at all.
    """
    models = [heavy, light]
    considered = sorted(set(candidates.points)) if candidates else []
    values = [value for _, value in considered]
    for model in models:
        values += [v for v in (model.figure.low, model.figure.value, model.figure.high) if v is not None]
    if not values:
        raise ValueError(f"no {metric} is known")
    costs = [model.flops for model in models] + [flops for flops, _ in considered] + ([budget] if budget else [])
    drawing = Drawing(f"{metric} against FLOPs", WIDTH, HEIGHT)
    x = _flops_scale(costs)
    y = Scale(*padded(values), HEIGHT - BOTTOM, TOP)
    axes(drawing, x, y, "FLOPs of one prediction", metric, large, decimals)
    drawing.text((LEFT, 24), f"{metric} against FLOPs", size=15, bold=True)
    for flops, value in considered:
        drawing.circle((x(flops), y(value)), 3.5, "#ffffff", GREEN, 1.5)
    if budget:
        drawing.line((x(budget), y.start), (x(budget), y.end), stroke=INK, width=1.5, dash="6 4")
    for model, color in zip(models, _COLORS, strict=True):
        _interval(drawing, x(model.flops), y, model.figure, color)
    for number, (model, color) in enumerate(zip(models, _COLORS, strict=True)):
        if model.figure.value is not None:
            _square_or_diamond(drawing, (x(model.flops), y(model.figure.value)), number, color)
        at = (LEFT + _MARK, 46.0 + 18 * number)
        _square_or_diamond(drawing, at, number, color)
        drawing.text((at[0] + 14, at[1] + SIZE / 3), _words(model, metric))
    line = 46.0 + 18 * len(models)
    if considered:
        drawing.circle((LEFT + _MARK, line), 3.5, "#ffffff", GREEN, 1.5)
        how = "after a short training" if candidates and candidates.trained else "with shared weights"
        drawing.text((LEFT + _MARK + 14, line + SIZE / 3), f"what the search considered: validation rows, {how}")
        line += 18
    if budget:
        drawing.line((LEFT - 2, line), (LEFT + 2 * _MARK + 2, line), stroke=INK, width=1.5, dash="6 4")
        drawing.text((LEFT + _MARK + 14, line + SIZE / 3), f"budget: {budget:,} FLOPs")
    return drawing.svg()


def _flops_scale(costs: Sequence[int]) -> Scale:
    low, high = min(costs), max(costs)
    if high > FEW_TIMES * low > 0:
        return Scale(low / 1.3, high * 1.3, LEFT, WIDTH - RIGHT, logarithmic=True)
    return Scale(0, high * 1.08, LEFT, WIDTH - RIGHT)


def _words(model: Model, metric: str) -> str:
    figure = model.figure
    if figure.value is None:
        return f"{model.name}: {metric} can't be estimated, {model.flops:,} FLOPs"
    interval = "" if figure.low is None or figure.high is None else f" [{figure.low:.3f}, {figure.high:.3f}]"
    return f"{model.name}: {metric} {figure.value:.3f}{interval} on test rows, {model.flops:,} FLOPs"


def _interval(drawing: Drawing, x: float, y: Scale, figure: Metric, color: str) -> None:
    if figure.low is None or figure.high is None:
        return
    drawing.line((x, y(figure.low)), (x, y(figure.high)), stroke=color, width=1.5)
    for end in (figure.low, figure.high):
        drawing.line((x - 5, y(end)), (x + 5, y(end)), stroke=color, width=1.5)


def _square_or_diamond(drawing: Drawing, at: Point, number: int, color: str) -> None:
    """Another shape for each model, so that colors are not needed to tell them apart."""
    x, y = at
    if number == 0:
        drawing.box(x - _MARK + 1, y - _MARK + 1, 2 * _MARK - 2, 2 * _MARK - 2, color)
    else:
        drawing.polygon([(x, y - _MARK), (x + _MARK, y), (x, y + _MARK), (x - _MARK, y)], color)
