"""A store belongs to one HeavyModel: two that wrote into one chain would begin generations for ever."""

from contextlib import suppress

from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import OWNERS_PREFIX, owner_key, owner_number, stores_around
from longtail_api.store_objects import StoreOwner
from longtail_store.credentials import Credentials
from longtail_store.errors import ObjectUnusable, StoreRefused
from longtail_store.opening import open_store
from longtail_store.store import Store
from longtail_store.typed_objects import read_object, write_object_if_absent


def owner_of(store: Store) -> StoreOwner | None:
    """Whose store it is; None where nobody has claimed it."""
    newest = _newest(store)
    return read_object(store, owner_key(newest), StoreOwner) if newest else None


def claim(store: Store, owner: StoreOwner, adopted: str | None = None) -> StoreOwner:
    """Whose store it is after this call: `owner`'s where it was nobody's, or that of the one whose uid is `adopted`.

    Of several who claim at once one gets it, and all learn who.
    """
    while True:
        newest = _newest(store)
        holder = read_object(store, owner_key(newest), StoreOwner) if newest else None
        if holder is not None and (holder.uid == owner.uid or holder.uid != adopted):
            return holder
        # Lost to another, or to this call's own first attempt: what stands there now says which.
        write_object_if_absent(store, owner_key(newest + 1), owner)


def owner_around(address: StoreAddress, credentials: Credentials | None) -> tuple[str, StoreOwner] | None:
    """Another store that has `address` in one of its own folders, and whose it is; None where there is none, or none
    that these credentials may look into."""
    for uri in stores_around(address.uri):
        with suppress(StoreRefused, ObjectUnusable):
            owner = owner_of(open_store(address.model_copy(update={"uri": uri}), credentials))
            if owner is not None:
                return uri, owner
    return None


def _newest(store: Store) -> int:
    """The highest number there is; 0 where there is none."""
    return max((owner_number(found.key) for found in store.list(OWNERS_PREFIX)), default=0)
