"""Who starts from which version: the order in which scenarios run, and when their feedback is folded. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.alt.protocol import Folding


@dataclass(frozen=True)
class Start:
    """Scenario number `arrival` (from 0) starts from the newest version."""

    arrival: int
    teaches: bool = True
    """Whether it is to give feedback, which is folded later."""


@dataclass(frozen=True)
class Fold:
    """The feedback of these arrivals is folded, as one version."""

    arrivals: tuple[int, ...]


Event = Start | Fold


def events(count: int, folding: Folding, learned: int = 0) -> Iterator[Event]:
    """Starts and folds of `count` arrivals, in order.

    learned: how many arrivals, the first ones, version 1 was trained on. Like Scenarios of the pool, they give no
    feedback: a second lesson from the same rows would count them twice.

    Async: `in_flight` scenarios run at a time, each folded when it ends, and the next one starts; so each but the first
    ones is in_flight − 1 versions old when it is folded. Synchronous: `in_flight` start from one version, and are
    folded together (ALT Eq. 3). Frozen: nobody's feedback is folded.
    """

    def start(number: int) -> Start:
        return Start(number, teaches=folding.mode != "Frozen" and number >= learned)

    def fold(ended: Iterable[int]) -> Iterator[Fold]:
        arrivals = tuple(number for number in ended if number >= learned)
        if arrivals:
            yield Fold(arrivals)

    if folding.mode == "Frozen":
        yield from map(start, range(count))
    elif folding.mode == "Synchronous":
        for first in range(0, count, folding.in_flight):
            together = range(first, min(count, first + folding.in_flight))
            yield from map(start, together)
            yield from fold(together)
    else:
        yield from map(start, range(min(count, folding.in_flight)))
        for ended in range(count):
            yield from fold([ended])
            if ended + folding.in_flight < count:
                yield start(ended + folding.in_flight)
