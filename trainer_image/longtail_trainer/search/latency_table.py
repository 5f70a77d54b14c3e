"""What each part of a model with layers of operations adds to the time of one prediction, measured on this machine."""

import time
from collections import abc
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Annotated, TypeVar

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from longtail_api.base import ApiModel
from longtail_trainer.export.graph import export
from longtail_trainer.export.latency import Latency, Timer, prediction_timer
from longtail_trainer.export.latency_graphs import Chains, operation_graphs
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.operations import Sequence

ROUNDS = 200
RUNS = 20
"""Of each chain in each round. Blocks are short and rounds are many, so that some of each fall into quiet moments: two
seconds of rounds were seen to lie wholly in a slow one, and all parts to come out a third longer."""
WHOLE_RUNS = 100
"""Of the whole model, which has a p99 to tell."""
LONGEST_SECONDS = 20.0
COPIES = 4
EDGES = 9
"""An edge takes less than a microsecond; more of them are compared."""

Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Key = TypeVar("Key", bound=Hashable)


class LatencyTable(ApiModel):
    """Milliseconds of one prediction (one thread, batch 1, maxLength events), by part, all sequences together.

    The sum over an architecture's parts predicts its median; times `tail`, its p99.
    """

    fixed: Milliseconds
    """Everything outside of the layers, feature encoding included."""
    operations: dict[str, Milliseconds]
    """By the operation's name."""
    edge: Milliseconds
    """A residual edge."""
    tail: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    """p99 over median of a whole model, in the quietest blocks of each."""


class ScaledCopies(nn.Module):
    """A cell whose layers are multiples of its input: different ones, so that the runtime makes each of them."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        return [x * (number + 0.5) for number in range(self.layers)]


def measure_table(
    model: ServedModel, layers: int, shapes: abc.Sequence[Sequence], operations: abc.Sequence[str]
) -> LatencyTable:
    """Measure by the runtime that serves, on one thread.

    model: a whole one, with `ScaledCopies` of so many layers as the cell of each sequence. shapes: what those cells
    work on, of one width; none where the model encodes no sequence.

    An operation's own time is a slope: what a chain of four copies takes beyond one copy, by three. So the cost of
    calling the runtime cancels out, and the operation stands between others, as in a model. A residual edge is
    measured likewise. What is fixed is the time of a whole model whose layers are each but one product, less those,
    which cost what an edge does.

    All graphs take turns in short blocks; of each one the block of lowest median counts. So what else the machine does
    doesn't decide, and all are measured at the processor's same speed. Two exports, and some 7 seconds of runs; at most
    20, where others use the processor or sequences are long.
    """
    whole = prediction_timer(model, export(model))
    timers = {WHOLE: whole} | (_chains(operations, shapes) if shapes else {})
    quietest = quietest_blocks(timers, {WHOLE: WHOLE_RUNS})

    def slope(name: str, copies: int, length: int) -> float:
        more, less = quietest[name, copies, length], quietest[name, 1, length]
        return max(0.0, (more.p50_milliseconds - less.p50_milliseconds) / (copies - 1))

    def operation(name: str, length: int) -> float:
        return max(0.0, slope(name, COPIES, length) - slope(MASKS, COPIES, length))

    edge = sum(slope(EDGE, EDGES, shape.length) for shape in shapes)
    median, p99 = quietest[WHOLE].p50_milliseconds, quietest[WHOLE].p99_milliseconds
    return LatencyTable(
        fixed=max(0.0, median - layers * edge),
        operations={name: sum(operation(name, shape.length) for shape in shapes) for name in operations},
        edge=edge,
        tail=max(1.0, p99 / median),
    )


Measured = tuple[str, int, int]
"""What a timer is of: name, copies and length."""
MASKS, EDGE = "/masks", "/edge"
WHOLE: Measured = ("/whole", 1, 0)


def _chains(operations: abc.Sequence[str], shapes: abc.Sequence[Sequence]) -> dict[Measured, Timer]:
    graphs = operation_graphs(operations, shapes[0])
    chains = Chains(next(iter(graphs.values())), shapes[0].width)
    makers = {name: partial(chains.of_operation, graph) for name, graph in graphs.items()}
    makers |= {MASKS: chains.of_masks, EDGE: chains.of_edges}
    timers: dict[Measured, Timer] = {}
    for length in sorted({shape.length for shape in shapes}):
        for name, make in makers.items():
            for copies in (1, EDGES if name == EDGE else COPIES):
                timers[name, copies, length] = make(copies, length)
    return timers


def quietest_blocks(
    timers: Mapping[Key, Timer],
    runs: Mapping[Key, int] | None = None,
    rounds: int = ROUNDS,
    longest_seconds: float = LONGEST_SECONDS,
) -> dict[Key, Latency]:
    """The lowest median and the lowest p99 of any block, of each; in turns, until rounds or seconds are over.

    runs: in a block, where not 20, of which no p99 can be told.
    """
    lowest = dict.fromkeys(timers, Latency(float("inf"), float("inf")))
    for timer in timers.values():
        timer()
    began = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - began > longest_seconds:
            break
        for key, timer in timers.items():
            block = [1000 * timer() for _ in range((runs or {}).get(key, RUNS))]
            p50, p99 = np.quantile(block, [0.5, 0.99]).tolist()
            before = lowest[key]
            lowest[key] = Latency(min(before.p50_milliseconds, p50), min(before.p99_milliseconds, p99))
    return lowest
