"""Randomized coordinate shrinking: RACOS's classifier, an axis-parallel box around one good solution.

Yu, Qian, Hu: Derivative-free optimization via classification, AAAI 2016 (Algorithms 2 and 3).
"""

from collections.abc import Sequence

import numpy as np

from longtail_trainer.search.samplers.axes import Axis, Interval

Solution = tuple[float, ...]
"""One coordinate per axis."""
Box = tuple[Interval, ...]
"""One interval per axis."""


def contains(box: Box, solution: Solution) -> bool:
    """Whether the solution lies in the box."""
    return all(low <= coordinate <= high for (low, high), coordinate in zip(box, solution, strict=True))


def covering_box(
    axes: Sequence[Axis],
    positive: Solution,
    negatives: Sequence[Solution],
    free_axes: int,
    random: np.random.Generator,
) -> Box:
    """A random box that has `positive`, none of `negatives`, and more than a point on at most `free_axes` axes.

    While a negative is inside, a random one of them is excluded on a random axis on which the two differ; then all
    but `free_axes` random ones of the axes that are left are held at the positive's coordinate (the paper's bound on
    uncertain bits). Negatives equal to the positive can't be excluded, and aren't.
    """
    box = [axis.whole for axis in axes]
    inside = [negative for negative in negatives if negative != positive]
    while inside:
        negative = inside[int(random.integers(len(inside)))]
        differing = [number for number in range(len(axes)) if negative[number] != positive[number]]
        chosen = differing[int(random.integers(len(differing)))]
        box[chosen] = axes[chosen].cut(random, box[chosen], positive[chosen], negative[chosen])
        inside = [one for one in inside if box[chosen][0] <= one[chosen] <= box[chosen][1]]
    open_axes = [number for number, (low, high) in enumerate(box) if low < high]
    for number in random.permutation(open_axes)[free_axes:]:
        box[int(number)] = (positive[int(number)], positive[int(number)])
    return tuple(box)


def draw(axes: Sequence[Axis], box: Box, random: np.random.Generator) -> Solution:
    """A uniform draw from the box."""
    return tuple(axis.draw(random, interval) for axis, interval in zip(axes, box, strict=True))
