"""Pictures into the store, beside the step's result. They decide nothing, so no failure of theirs fails a step."""

import logging
from collections.abc import Callable

from longtail_api.store_layout import picture_key, picture_name, pictures_prefix
from longtail_store import Store, StoreError

log = logging.getLogger(__name__)


def publish(store: Store, prefix: str, name: str, picture: Callable[[], str]) -> None:
    """Draw and store one picture of the step whose folder is `prefix`. What goes wrong is one line of log."""
    key = picture_key(prefix, name)
    try:
        store.put_advisory(key, picture().encode())
    except Exception as error:
        log.warning("%s was not drawn (%s: %s); the step goes on", key, type(error).__name__, error)


def published(store: Store, prefix: str) -> dict[str, str]:
    """Keys of the pictures that the step's folder holds, by name: also those of an earlier attempt."""
    try:
        keys = [info.key for info in store.list(pictures_prefix(prefix))]
    except StoreError as error:
        log.warning("the pictures of %s can't be listed (%s); the result names none", prefix, error)
        return {}
    return {name: key for key in keys if (name := picture_name(prefix, key)) is not None}
