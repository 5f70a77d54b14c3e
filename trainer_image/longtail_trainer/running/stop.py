"""Whether a step was asked to stop."""

import signal
from types import FrameType
from typing import Protocol

from longtail_trainer.running.errors import Terminated


class Stop(Protocol):
    """Asked between batches: raises where the work is to end here. `StopSignal` is one, a time limit another."""

    def raise_if_requested(self) -> None: ...


class NeverStops:
    """The stop signal of work that nobody can interrupt."""

    def raise_if_requested(self) -> None:
        """Never."""


class StopSignal:
    """Whether the step was asked to stop. A step looks between batches, saves a resume point, then raises."""

    def __init__(self) -> None:
        self.requested = False

    def request(self, signal_number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Ask the step to stop; also the handler of SIGTERM."""
        self.requested = True

    def raise_if_requested(self) -> None:
        """Raise `Terminated` where a stop was asked for. Call it where nothing is lost, or after saving."""
        if self.requested:
            raise Terminated("stopped by SIGTERM; the next attempt resumes from the last saved point")
