"""Who starts from which version: the order in which scenarios run, and when their feedback is folded. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.alt.protocol import Folding


@dataclass(frozen=True)
class Start:
    """Scenario number `arrival` (from 0) starts from the newest version."""

    arrival: int


@dataclass(frozen=True)
class Fold:
    """The feedback of these arrivals is folded, as one version."""

    arrivals: tuple[int, ...]


Event = Start | Fold


def events(count: int, folding: Folding) -> Iterator[Event]:
    """Starts and folds of `count` arrivals, in order.

    Async: `in_flight` scenarios run at a time, each folded when it ends, and the next one starts; so each but the first
    ones is in_flight − 1 versions old when it is folded. Synchronous: `in_flight` start from one version, and are
    folded together (ALT Eq. 3). Frozen: nobody's feedback is folded.
    """
    if folding.mode == "Frozen":
        yield from (Start(number) for number in range(count))
    elif folding.mode == "Synchronous":
        for first in range(0, count, folding.in_flight):
            together = tuple(range(first, min(count, first + folding.in_flight)))
            yield from (Start(number) for number in together)
            yield Fold(together)
    else:
        yield from (Start(number) for number in range(min(count, folding.in_flight)))
        for ended in range(count):
            yield Fold((ended,))
            if ended + folding.in_flight < count:
                yield Start(ended + folding.in_flight)
