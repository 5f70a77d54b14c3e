"""What is known of a store, as decisions read it."""

from dataclasses import dataclass

from longtail_api.store_objects import Member, Termination, Version
from longtail_operator.kubernetes.trouble import Trouble


@dataclass(frozen=True)
class StoreView:
    """What is known of a HeavyModel's store."""

    trouble: Trouble | None = None
    """Why it can't be used; None where it can."""
    head: Version | None = None
    pool: frozenset[str] = frozenset()
    """Manifest keys of the newest generation's initial pool."""
    pending: int = 0
    """Feedback that waits."""


@dataclass(frozen=True)
class Membership:
    """What a Scenario has of a step that works for many: `said` is what a Job of its own would have said."""

    member: Member
    said: Termination
