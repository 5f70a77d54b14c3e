"""SIGTERM: the work in hand comes to a point that it can be resumed from, then the comparison ends."""

import contextlib
import multiprocessing
import signal
import socket
from collections.abc import Generator
from types import FrameType


class Interrupted(Exception):
    """The comparison was asked to stop; the work in hand is not done, and nothing of it is lost."""


class Stopping:
    """Whether this process, or the one that started it, was sent SIGTERM. One for a process: `STOPPING`.

    A trainer's step has a handler of its own while it runs, and may end before it looks. The wake-up socket is told
    of every signal, whosever handler gets it.
    """

    def __init__(self) -> None:
        self._requested = False
        self._told: socket.socket | None = None

    def requested(self) -> bool:
        if self._told is not None:
            with contextlib.suppress(BlockingIOError):
                self._requested |= signal.SIGTERM in self._told.recv(4096)
        return self._requested

    def raise_if_requested(self) -> None:
        """Raise `Interrupted` where a stop was asked for; for where nothing is lost."""
        if self.requested():
            raise Interrupted

    def listen(self) -> None:
        """From now on."""
        self._requested = False
        self._told, self._teller = socket.socketpair()
        for end in (self._told, self._teller):
            end.setblocking(False)
        signal.set_wakeup_fd(self._teller.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._received)

    @contextlib.contextmanager
    def listening(self) -> Generator[None]:
        """Meanwhile; afterwards signals go where they went before."""
        before = signal.getsignal(signal.SIGTERM)
        self.listen()
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            signal.set_wakeup_fd(-1)
            self.requested()  # what came meanwhile stays known
            assert self._told is not None, "it was listening"
            self._told.close()
            self._teller.close()
            self._told = None

    def _received(self, signal_number: int, frame: FrameType | None) -> None:
        self._requested = True
        for child in multiprocessing.active_children():
            child.terminate()  # SIGTERM, which each takes as this process does


STOPPING = Stopping()
