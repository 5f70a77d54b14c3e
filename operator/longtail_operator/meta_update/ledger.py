"""What feedback waits: a LIST of the store, less what the chain has settled.

The operator learns of feedback from finished Jobs; this catches the rest, at start and hourly.
"""

from longtail_api.store_layout import FEEDBACK_PREFIX, feedback_key, feedback_run
from longtail_operator.meta_update.rules import PendingFeedback
from longtail_store import Chain, Store
from longtail_store.settled import is_settled


def pending(store: Store) -> list[PendingFeedback]:
    """Every feedback that is neither folded nor rejected, oldest first. Keys that are none of ours are passed over."""
    head = Chain(store).head()
    settled = head.settled if head else {}
    found: list[PendingFeedback] = []
    for item in store.list(FEEDBACK_PREFIX):
        named = feedback_run(item.key)
        if named and feedback_key(*named) == item.key and not is_settled(settled, *named):
            scenario, run = named
            found.append(PendingFeedback(modified=item.modified, scenario=scenario, run=run, key=item.key))
    return sorted(found)
