"""Who takes in what is seen of objects: by a watch, or in the answer to one's own write."""

from typing import Protocol

from longtail_operator.kubernetes.objects import Json


class Observing(Protocol):
    """What the edges to the API server know of whoever keeps what they see."""

    def observe(self, item: Json) -> bool:
        """`item` is as it is now. True where that was news."""
        ...

    def forget(self, item: Json) -> None:
        """`item` is gone."""
        ...
