"""One opened store, and what is known of it."""

from dataclasses import dataclass, field

from longtail_api.run_config import StoreAddress
from longtail_operator.meta_update.rules import PendingFeedback
from longtail_operator.stores.questions import Questions
from longtail_operator.stores.view import StoreView
from longtail_store import Credentials, Store
from longtail_store.settled_log import NOTHING, SettledLog, SettledRuns

FRESH_SECONDS = 3600.0
"""A listing this old is made anew: it finds feedback that no finished Job told of."""
RETRY_SECONDS = 15.0
"""A store that could not be used is asked again after this time."""
VIEW, PULSE = "view", "pulse"
"""The questions for all that a HeavyModel's decisions need, and for the newest version's being there."""


@dataclass
class HeavyModelStore:
    """One HeavyModel's store."""

    store: Store
    address: StoreAddress
    credentials: Credentials | None
    view: StoreView | None = None
    read_at: float = float("-inf")
    """Monotonic time when the last reading ended."""
    stale: bool = False
    """The head has moved, or may have."""
    pools: dict[int, frozenset[str]] = field(default_factory=dict[int, frozenset[str]])
    """Initial pool by generation; it never changes."""
    pending: dict[str, PendingFeedback] = field(default_factory=dict[str, PendingFeedback])
    settled: SettledRuns = NOTHING
    """What the chain had settled when it was last read."""
    log: SettledLog = field(init=False)
    lost: set[str] = field(default_factory=set[str])
    """Keys of feedback that runs told of, and that a fold did not find."""
    questions: Questions = field(default_factory=Questions)

    def __post_init__(self) -> None:
        self.log = SettledLog(self.store)

    @property
    def is_behind(self) -> bool:
        """The store has moved on since it was read, or may have."""
        return self.stale or self.questions.is_open(VIEW)

    def is_due(self, now: float) -> bool:
        age = now - self.read_at
        failed = self.view is not None and self.view.trouble is not None
        return self.view is None or self.stale or age > FRESH_SECONDS or (failed and age > RETRY_SECONDS)

    def shown(self) -> StoreView:
        """The view, with what feedback waits now."""
        view = self.view or StoreView()
        for item in list(self.pending.values()):
            if self.settled.holds(item.scenario, item.run):
                del self.pending[item.key]
        return StoreView(view.trouble, view.head, view.pool, len(self.pending))

    def is_at(self, address: StoreAddress, credentials: Credentials | None) -> bool:
        return self.address == address and self.credentials == credentials
