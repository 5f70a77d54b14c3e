"""Whose store it is."""

from longtail_api.base import StoreObject


class StoreOwner(StoreObject):
    """`owners/<number>.json`: the HeavyModel that a store belongs to; the one with the highest number does."""

    namespace: str
    name: str
    uid: str
    """metadata.uid: a HeavyModel made anew under the same name is another one, perhaps in another cluster."""

    def __str__(self) -> str:
        return f"HeavyModel {self.namespace}/{self.name} (uid {self.uid})"
