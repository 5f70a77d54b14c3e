"""Conditions and other parts of a status, built so that an unchanged world gives an unchanged status."""

from collections.abc import Sequence
from datetime import datetime

from longtail_api.conditions import MESSAGE_LIMIT, Condition, ConditionType, Reason
from longtail_operator.kubernetes.clock import whole_seconds
from longtail_operator.kubernetes.objects import Json, entries


def shortened(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """`message` within the limit of a condition; what is cut off is marked."""
    return message if len(message) <= limit else message[: limit - 1] + "…"


def enumerated(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many more there are, so that a message stays short."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


class Conditions:
    """The conditions of one resource. lastTransitionTime moves only when a status does."""

    def __init__(self, previous: list[Condition], generation: int, now: datetime) -> None:
        self._previous = {condition.type: condition for condition in previous}
        self._generation = generation
        self._now = whole_seconds(now)
        self._current: dict[str, Condition] = {}

    def set(self, type_: ConditionType, holds: bool | None, reason: Reason | str, message: str = "") -> None:
        """State a condition; None is Unknown."""
        status = "Unknown" if holds is None else ("True" if holds else "False")
        before = self._previous.get(type_)
        self._current[type_] = Condition(
            type=type_,
            status=status,
            reason=str(reason),
            message=shortened(message),
            last_transition_time=before.last_transition_time if before and before.status == status else self._now,
            observed_generation=self._generation,
        )

    def keep(self, type_: ConditionType) -> None:
        """Let a condition stand as it was, where there was one."""
        before = self._previous.get(type_)
        if before is not None:
            self._current[type_] = before

    def before(self, type_: ConditionType) -> Condition | None:
        return self._previous.get(type_)

    def current(self, type_: ConditionType) -> Condition | None:
        return self._current.get(type_)

    def ordered(self) -> list[Condition]:
        """In the order of `ConditionType`, with Ready at the end."""
        order = [type_ for type_ in ConditionType if type_ != ConditionType.READY] + [ConditionType.READY]
        return [self._current[type_] for type_ in order if type_ in self._current]


def not_ready(before: Json, status: Json, reason: Reason | str, message: str, now: datetime) -> Json:
    """`status` with Ready=False for a reason that its plan does not know; `before` is the one that stands."""
    ready = [condition for condition in entries(before, "conditions") if condition.get("type") == ConditionType.READY]
    previous = [Condition.model_validate(condition, extra="ignore") for condition in ready]
    conditions = Conditions(previous, int(status.get("observedGeneration") or 0), now)
    conditions.set(ConditionType.READY, False, reason, message)
    others = [one for one in entries(status, "conditions") if one.get("type") != ConditionType.READY]
    return {**status, "conditions": [*others, *(condition.to_json_dict() for condition in conditions.ordered())]}
