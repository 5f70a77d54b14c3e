"""A new serving image is tried on what serves by a few Scenarios at a time, and by no more once one has refused it.

A new light model is checked with the new image anyway, and is not held up by this.
"""

from collections.abc import Callable
from itertools import islice

from longtail_api.conditions import ConditionType, Reason
from longtail_operator.kubernetes.objects import Json, Key, entries, is_deleting, section
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.scenario.gate import names_for

_WAITS = frozenset({Reason.WAITING_FOR_UPGRADE, Reason.UPGRADE_HELD})
_NEXT = 4
"""So many of those who wait are looked at when one has ended; who finds no place waits on."""


class Upgrade:
    """Who tries which image, who has refused which, and who waits. wake: has a Scenario looked at."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._trying: dict[Key, str] = {}
        self._refusing: dict[Key, str] = {}
        self._waiting: dict[Key, None] = {}
        """In the order in which they came."""

    def look(self, scenario: Key, raw: Json | None) -> None:
        """A Scenario has changed, or is gone. Suspended, it stands in nobody's way."""
        before = self._trying.pop(scenario, None), self._refusing.pop(scenario, None)
        waits = False
        if raw is not None and not is_deleting(raw) and not section(raw, "spec").get("suspend"):
            serving = section(raw, "status", "serving")
            image, form = serving.get("triedImage"), section(serving, "form")
            if image and form.get("refused") and form.get("refusedReason") != Reason.CHECK_INCONCLUSIVE:
                self._refusing[scenario] = image
            elif image and serving.get("candidate"):
                self._trying[scenario] = image
            waits = any(
                one.get("type") == ConditionType.ROLLED_OUT and one.get("reason") in _WAITS
                for one in entries(raw, "status", "conditions")
            )
        if waits:
            self._waiting.setdefault(scenario)
        else:
            self._waiting.pop(scenario, None)
        if any(before) and (self._trying.get(scenario), self._refusing.get(scenario)) != before:
            for key in islice(self._waiting, _NEXT):
                self._wake(key)

    def held(self, scenario: Key, image: str, at_once: int) -> Trouble | None:
        """Why a Scenario does not try an image on what serves now; None where it may."""
        if scenario in self._trying or scenario in self._refusing:
            return None
        refusing = [key for key, refused in self._refusing.items() if refused == image]
        if refusing:
            return Trouble(
                Reason.UPGRADE_HELD,
                f"image {image} waits, since it was refused by {names_for(scenario.namespace, refusing)}: mend what "
                "RolledOut says there, suspend it to go on without it, or go back to the image before",
            )
        if sum(tried == image for tried in self._trying.values()) >= at_once:
            words = f"image {image} is tried by {at_once} Scenarios at a time (operator.concurrentUpgrades)"
            return Trouble(Reason.WAITING_FOR_UPGRADE, words)
        return None
