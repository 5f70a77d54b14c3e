"""Stores that lie inside one another.

Neither touches what is the other's, since each knows its own folders; but rights, quotas and lifecycle rules that
somebody sets on the outer address count for the inner one, too.
"""

from collections.abc import Iterable

from longtail_api.addresses import StoreUri
from longtail_api.conditions import Reason
from longtail_api.shared_specs import Storage
from longtail_operator.kubernetes.conditions import enumerated
from longtail_operator.kubernetes.objects import Key


def overlap(one: Storage, other: Storage) -> bool:
    """Does one of two stores lie inside the other? Two at one address are no overlap: one of them does not get it."""
    if (one.endpoint or "").rstrip("/") != (other.endpoint or "").rstrip("/"):
        return False
    place, another = StoreUri.parse(one.uri), StoreUri.parse(other.uri)
    if place.bucket != another.bucket or place.prefix == another.prefix:
        return False
    return place.prefix.startswith(another.prefix) or another.prefix.startswith(place.prefix)


def stands(own: Storage, others: Iterable[tuple[Key, Storage]]) -> tuple[Reason, str]:
    """What StoreReady says of a store that can be used; `others`: the stores of the other HeavyModels."""
    said = "one of several racing writers wins"
    found = [f"{key.namespace}/{key.name} ({storage.uri})" for key, storage in others if overlap(own, storage)]
    if found:
        return Reason.STORE_OVERLAPS, (
            f"{said}, but one store lies inside the other: {own.uri} and that of HeavyModel "
            f"{enumerated(found)}; rights and lifecycle rules of the outer one count for the inner one, "
            "too, so give the next one an address beside it"
        )
    place = StoreUri.parse(own.uri)
    if place.is_s3 and not place.prefix:
        said += f"; the store is the whole bucket {place.bucket}, so put nothing else there, or name a prefix of it"
    return Reason.SUCCEEDED, said
