"""Which changes of conditions are worth a Kubernetes event."""

from longtail_api.conditions import ConditionType, Reason
from longtail_operator.kubernetes.objects import Json, entries
from longtail_operator.kubernetes.plan import Note
from longtail_operator.scenario.prepare import PREPARE

_EVERYDAY = frozenset(
    {
        Reason.RUNNING, Reason.PENDING, Reason.WAITING, Reason.WAITING_FOR_PLACE, Reason.QUEUED, Reason.RESUMED,
        Reason.CHECKING, Reason.WAITING_FOR_UPGRADE,
    }
)  # fmt: skip
_ORDINARY_WAITING = frozenset(
    {
        Reason.MODEL_NOT_READY, Reason.NEW_GENERATION, Reason.POOL_TOO_SMALL, Reason.SUSPENDED, Reason.DELETING,
        Reason.UPGRADE_HELD,
    }
)  # fmt: skip
"""Nothing is wrong: it goes on by itself, or as the person who asked for it wants."""
_WARNED_OF = frozenset({Reason.STORE_OVERLAPS})
"""What the condition asks for holds, and yet somebody should act."""
_GOOD_WHEN_FALSE = frozenset({ConditionType.FAILED, ConditionType.SUSPENDED})


def notes_of(before: Json, after: Json) -> list[Note]:
    """One note for each thing that happened, and a warning of what a run's data turned out to be.

    A thing is a condition whose status or reason has changed, but for what happens all day long. What fails changes
    several conditions for one reason (the step's, Failed, Ready): the one that says most stands for all.
    """
    known = {
        condition["type"]: (condition["status"], condition["reason"]) for condition in entries(before, "conditions")
    }
    changed = [
        condition
        for condition in entries(after, "conditions")
        if known.get(condition["type"]) != (condition["status"], condition["reason"])
        and condition["reason"] not in _EVERYDAY
    ]
    good = [condition for condition in changed if _is_good(condition)]
    bad: dict[str, Json] = {}
    for condition in sorted((item for item in changed if _is_bad(item)), key=lambda item: _says_most(item["type"])):
        bad.setdefault(condition["reason"], condition)
    notes = [_note("Warning" if condition["reason"] in _WARNED_OF else "Normal", condition) for condition in good]
    notes.extend(
        _note("Normal" if reason in _ORDINARY_WAITING else "Warning", condition) for reason, condition in bad.items()
    )
    warned = _of_the_data(after)
    if warned is not None and warned != _of_the_data(before):
        notes.append(Note("Warning", "FewKeysMeet", warned))
    return notes


def _is_good(condition: Json) -> bool:
    if condition["type"] == ConditionType.SUSPENDED:
        return condition["status"] == "True"
    return condition["type"] != ConditionType.FAILED and condition["status"] == "True"


def _is_bad(condition: Json) -> bool:
    if condition["type"] in _GOOD_WHEN_FALSE:
        return condition["type"] == ConditionType.FAILED and condition["status"] == "True"
    return condition["status"] != "True"


def _says_most(type_: str) -> int:
    """A step's own condition names the step by its type; `Failed` and `Ready` only repeat it."""
    return {str(ConditionType.FAILED): 1, str(ConditionType.READY): 2}.get(type_, 0)


def _note(kind: str, condition: Json) -> Note:
    said = condition.get("message") or condition["status"]
    return Note(kind, condition["reason"], f"{condition['type']}: {said}")


def _of_the_data(status: Json) -> str | None:
    """What `prepare` warned of in the current run."""
    return next((step.get("note") for step in entries(status, "run", "steps") if step["name"] == PREPARE.name), None)
