"""Is this process still of use? What a restart would mend and nothing else shows: mute watches, stuck workers.

A watch that fails ends kopf, and with it the process. One that was never started, or that the server keeps open and
never answers on, ends nothing: only the lists of the resync tell of what it should have told. So a change that a list
shows first starts a clock, and any event of that watch stops it.
"""

from collections.abc import Callable

WATCH_SECONDS = 180.0
"""How long after a list the events of the same changes may come."""
WORKER_SECONDS = 900.0
"""How long a key may wait while no worker takes any. One decision asks a store a few times, at most 300 s each."""


class Liveness:
    """What the watches and the lists have said. `clock` is monotonic, in seconds."""

    def __init__(self, namespaces: tuple[str, ...], clock: Callable[[], float]) -> None:
        self._namespaces = namespaces
        self._clock = clock
        self._suspected: dict[tuple[str, str | None], float] = {}

    def heard(self, kind: str, namespace: str) -> None:
        """A watch has delivered an event."""
        self._suspected.pop(self._watch(kind, namespace), None)

    def listed_first(self, kind: str, namespace: str | None) -> None:
        """A list has shown a change of which no event has told."""
        self._suspected.setdefault(self._watch(kind, namespace), self._clock())

    def trouble(self, queue_stalled_since: float | None) -> str | None:
        """What a restart would mend; None where nothing is wrong. `queue_stalled_since`: as `WorkQueue` says it."""
        now = self._clock()
        for (kind, namespace), since in self._suspected.items():
            if now - since > WATCH_SECONDS:
                where = f" of namespace {namespace}" if namespace else ""
                return f"no event of any {kind}{where} for {now - since:.0f} s, although a list shows changes"
        if queue_stalled_since is not None and now - queue_stalled_since > WORKER_SECONDS:
            return f"keys wait, and no worker has taken one for {now - queue_stalled_since:.0f} s"
        return None

    def _watch(self, kind: str, namespace: str | None) -> tuple[str, str | None]:
        """There is one watch per kind, and per namespace where not all are looked after."""
        return kind, namespace if self._namespaces else None
