"""A status as this operator reads it, whoever else has written to it.

Another controller may have put conditions of its own there, and a newer operator, rolled back since, fields that this
one has no name for. They are passed over and, written by server-side apply, left where they are.
"""

from typing import TypeVar

from pydantic import ValidationError

from longtail_api.base import ApiModel
from longtail_api.conditions import ConditionType
from longtail_operator.kubernetes.objects import Json, entries, section

Status = TypeVar("Status", bound=ApiModel)
_OUR_CONDITIONS = frozenset(ConditionType)


class StatusUnreadable(Exception):
    """The user must act: a field of ours has a value that means nothing here; a newer operator wrote it, perhaps."""


def own_status(model: type[Status], item: Json) -> Status:
    """The status of `item`, without foreign fields and conditions. Raises `StatusUnreadable`."""
    try:
        return model.model_validate(without_foreign_conditions(section(item, "status")), extra="ignore")
    except ValidationError as error:
        first = error.errors()[0]
        raise StatusUnreadable(
            f"status.{'.'.join(map(str, first['loc']))}: {first['msg']}; upgrade the operator if a newer one wrote it, "
            "or remove the field from the status"
        ) from None


def without_foreign_conditions(status: Json) -> Json:
    """`status` with the conditions that are ours alone: whoever applies the others takes them for their own."""
    conditions = [one for one in entries(status, "conditions") if one.get("type") in _OUR_CONDITIONS]
    return {**status, "conditions": conditions}
