"""What a decision comes to: data, which `apply` turns into deeds."""

from dataclasses import dataclass, field

from longtail_operator.kubernetes.jobs import is_finished
from longtail_operator.kubernetes.objects import Json, Key, is_deleting, key_of


@dataclass(frozen=True)
class Note:
    """A Kubernetes event to record on the resource."""

    type: str
    """Normal or Warning."""
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """What should be, for one resource."""

    status: Json
    """The whole status; written before any child, so that a restart finds what children stand on."""
    children: tuple[Json, ...] = ()
    """What should exist."""
    deletions: tuple[Key, ...] = ()
    """What should not."""
    notes: tuple[Note, ...] = ()
    refresh_store: bool = False
    """Whether something in the store has changed that the decision needs to see."""
    requeue_after: float | None = None
    """Seconds until time itself changes something."""


@dataclass
class Draft:
    """A plan in the making."""

    children: list[Json] = field(default_factory=list[Json])
    deletions: list[Key] = field(default_factory=list[Key])
    kept: set[Key] = field(default_factory=set[Key])
    """Neither wanted nor to be removed yet."""
    notes: list[Note] = field(default_factory=list[Note])
    refresh_store: bool = False
    requeue: float | None = None

    def requeue_in(self, seconds: float) -> None:
        """Look again after `seconds`, or earlier where something else asks for it."""
        self.requeue = max(0.0, seconds) if self.requeue is None else min(self.requeue, max(0.0, seconds))

    def finished(self, status: Json, observed: list[Json]) -> Plan:
        """The plan; `observed` children that nothing wants are removed."""
        unwanted = superfluous(observed, {key_of(item) for item in self.children} | self.kept | set(self.deletions))
        return Plan(
            status=status,
            children=tuple(self.children),
            deletions=(*self.deletions, *unwanted),
            notes=tuple(self.notes),
            refresh_store=self.refresh_store,
            requeue_after=self.requeue,
        )


def superfluous(observed: list[Json], wanted: set[Key]) -> list[Key]:
    """Children to remove: all that nothing wants, but finished Jobs, which their own time to live removes."""
    return [
        key_of(item)
        for item in observed
        if item["kind"] != "Pod"
        and key_of(item) not in wanted
        and not is_deleting(item)
        and not (item["kind"] == "Job" and is_finished(item))
    ]
