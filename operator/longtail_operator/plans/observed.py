"""A resource of ours and its children, as a decision sees them."""

from dataclasses import dataclass
from functools import cached_property

from longtail_operator.objects import Json, Key, key_of, section
from longtail_operator.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One resource, at one moment."""

    raw: Json
    children: list[Json]
    """All but pods."""
    pods: list[Json]
    settings: Settings

    @cached_property
    def key(self) -> Key:
        return key_of(self.raw)

    @property
    def generation(self) -> int:
        return int(section(self.raw, "metadata").get("generation", 0))

    def find(self, kind: str, name: str) -> Json | None:
        """The child of this kind and name."""
        return next((item for item in self.children if item["kind"] == kind and item["metadata"]["name"] == name), None)
