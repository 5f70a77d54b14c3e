"""Which changes of conditions are worth a Kubernetes event."""

from longtail_api.conditions import ConditionType, Reason
from longtail_operator.kubernetes.objects import Json, entries
from longtail_operator.kubernetes.plan import Note
from longtail_operator.scenario.prepare import PREPARE

_EVERYDAY = frozenset({Reason.RUNNING, Reason.PENDING, Reason.WAITING, Reason.RESUMED, Reason.CHECKING})
_GOOD_WHEN_FALSE = frozenset({ConditionType.FAILED, ConditionType.SUSPENDED})


def notes_of(before: Json, after: Json) -> list[Note]:
    """One note for each condition whose status or reason has changed, but for what happens all day long, and a warning
    of what a run's data turned out to be."""
    known = {
        condition["type"]: (condition["status"], condition["reason"]) for condition in entries(before, "conditions")
    }
    notes: list[Note] = []
    for condition in entries(after, "conditions"):
        type_, status, reason = condition["type"], condition["status"], condition["reason"]
        if known.get(type_) == (status, reason) or reason in _EVERYDAY:
            continue
        if type_ in _GOOD_WHEN_FALSE:
            if status != "True":
                continue
            kind = "Warning" if type_ == ConditionType.FAILED else "Normal"
        else:
            kind = "Normal" if status == "True" else "Warning"
        notes.append(Note(kind, reason, f"{type_}: {condition.get('message') or status}"))
    warned = _of_the_data(after)
    if warned is not None and warned != _of_the_data(before):
        notes.append(Note("Warning", "FewKeysMeet", warned))
    return notes


def _of_the_data(status: Json) -> str | None:
    """What `prepare` warned of in the current run."""
    return next((step.get("note") for step in entries(status, "run", "steps") if step["name"] == PREPARE.name), None)
