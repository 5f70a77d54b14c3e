"""Whether what ended a step lies around it, or in what it was told and given.

Surroundings come back, and the step is tried again for as long as it takes. Told by the reason alone, never by words:
the store's by the classes of its errors, the cluster's by who ended the pod. What a person has to change in the data or
in the spec is listed, since whatever else ended a step may be mended by what its pod is made of: the image, the memory.
"""

from longtail_api.conditions import Reason
from longtail_store.errors import InvalidAddress, StoreError, StoreRefused, StoreUnreachable

_TOLD_TO_END = "Terminated"
"""The step's own word for SIGTERM."""


def _names(root: type[StoreError]) -> set[str]:
    return {root.__name__}.union(*map(_names, root.__subclasses__()))


STORE_AWAY = frozenset(_names(StoreUnreachable) | _names(StoreRefused)) - {InvalidAddress.__name__}
"""Reasons for which a store can't be used that is mended where it stands: by its operator, or by other credentials."""
_ENDS = frozenset(
    {
        Reason.DATA_INVALID, Reason.INVALID_SPEC, Reason.BUDGET_UNREACHABLE, Reason.RESULT_UNUSABLE,
        "GoalUnreachable", "ParityFailed",
    }
)  # fmt: skip
NOT_STARTED = frozenset(
    {
        Reason.REFUSED, Reason.UNSCHEDULABLE, Reason.IMAGE_NOT_PULLED, Reason.CREDENTIALS_MISSING, "FailedMount",
        "FailedAttachVolume", "CreateContainerConfigError", "CreateContainerError",
    }
)  # fmt: skip
"""Reasons for which a pod has not begun its work."""


def is_around(reason: str) -> bool:
    """Did the step end for something that comes back without anything about the step being changed?"""
    return reason in STORE_AWAY or reason in (_TOLD_TO_END, Reason.KILLED)


def is_mended_by_its_pod(reason: str) -> bool:
    """May another image, more memory or the like be all that a step needs that has failed for this?"""
    return reason not in _ENDS
