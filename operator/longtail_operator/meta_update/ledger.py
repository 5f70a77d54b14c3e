"""What feedback waits: a LIST of the store, less what the chain has settled.

The operator learns of feedback from finished Jobs; this catches the rest, at start and hourly.
"""

from longtail_api.store_layout import FEEDBACK_PREFIX, feedback_key, feedback_run
from longtail_operator.meta_update.rules import PendingFeedback
from longtail_store import Store
from longtail_store.settled_log import SettledLog, read_head


def handed_in(store: Store) -> list[PendingFeedback]:
    """Every feedback that is in the store, settled or not. Keys that are none of ours are passed over."""
    found: list[PendingFeedback] = []
    for item in store.list(FEEDBACK_PREFIX):
        named = feedback_run(item.key)
        if named and feedback_key(*named) == item.key:
            scenario, run = named
            found.append(PendingFeedback(modified=item.modified, scenario=scenario, run=run, key=item.key))
    return found


def pending(store: Store) -> list[PendingFeedback]:
    """Every feedback that is neither folded nor rejected, oldest first."""
    found = handed_in(store)
    _, settled = read_head(store, SettledLog(store), {item.scenario for item in found})
    return sorted(item for item in found if not settled.holds(item.scenario, item.run))
