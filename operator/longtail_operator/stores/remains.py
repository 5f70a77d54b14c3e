"""What a resource leaves in the store when it is deleted, and how it goes."""

from collections.abc import Iterable
from itertools import islice

from longtail_api.store_layout import (
    FEEDBACK_PREFIX,
    PREFIXES,
    data_versions_prefix,
    feedback_run,
    is_ours,
    models_prefix,
    runs_prefix,
)
from longtail_api.store_objects import StoreOwner
from longtail_store import Store
from longtail_store.ownership import owner_of
from longtail_store.settled_log import SettledLog, read_head

_DELETED_AT_ONCE = 1000


def remove_remains(store: Store, owner: StoreOwner, scenario: str | None) -> int | StoreOwner:
    """Remove what a Scenario, by its key in the store, has left there; None: all that is the HeavyModel's, `owner`'s.

    How many objects that were; or whose the store is, where it is somebody else's.
    """
    holder = owner_of(store)
    if holder is not None and holder != owner:
        return holder
    if scenario is None:
        return sum(
            _removed(store, (item.key for item in store.list(prefix) if is_ours(item.key))) for prefix in PREFIXES
        )
    return _remove_scenario(store, scenario)


def _remove_scenario(store: Store, scenario: str) -> int:
    """Its data, runs, light models, and the feedback that is settled: what waits is folded, and goes by retention.

    The manifests go first: whoever reads the rows of a pool meanwhile finds by these that they are meant to be gone.
    """
    data = [item.key for item in store.list(data_versions_prefix(scenario))]
    data.sort(key=lambda name: not name.endswith("/manifest.json"))
    feedback = [item.key for item in store.list(f"{FEEDBACK_PREFIX}{scenario}/")]
    _, settled = read_head(store, SettledLog(store), [scenario])
    keys = [*data, *(name for name in feedback if (run := feedback_run(name)) and settled.holds(*run))]
    for prefix in (runs_prefix(scenario), models_prefix(scenario)):
        keys += [item.key for item in store.list(prefix)]
    return _removed(store, keys)


def _removed(store: Store, keys: Iterable[str]) -> int:
    rest, count = iter(keys), 0
    while some := list(islice(rest, _DELETED_AT_ONCE)):
        store.delete(*some)
        count += len(some)
    return count
