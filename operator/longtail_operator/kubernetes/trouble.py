"""Why something does not get on: a reason and a message, as a condition holds them."""

import re
from dataclasses import dataclass

from longtail_api.conditions import Reason


@dataclass(frozen=True)
class Trouble:
    """Why something does not get on, for a condition."""

    reason: str
    message: str


def in_words(reason: object, message: str, otherwise: str = Reason.STEP_FAILED) -> Trouble:
    """Trouble in others' words: a reason that no condition may have is replaced, and stands in the message."""
    said = str(reason or "")
    if re.fullmatch(r"[A-Z][A-Za-z0-9]{0,62}", said):
        return Trouble(said, message)
    return Trouble(str(otherwise), f"{said}: {message}" if said else message)
