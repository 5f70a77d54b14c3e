"""Which candidate is not to be checked now: one that a figure refused, or one whose check measured nothing just now."""

from datetime import datetime, timedelta

from longtail_api.conditions import Condition, Reason
from longtail_api.scenario import Refusal
from longtail_operator.kubernetes.clock import read, written

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
"""After a check that measured nothing. Each further one waits twice as long, up to the longest."""

COMES_UP_WITHIN = timedelta(minutes=30)
"""A candidate whose pods do not answer for longer makes room for a newer run, and is then brought up again."""


def refuse(known: Refusal, version: str, digest: str) -> None:
    """A figure is against this version: it is checked again only under other demands. digest: hash of those."""
    known.refused, known.refused_check = version, digest
    known.refused_until, known.unmeasured_checks = None, 0


def put_off(known: Refusal, version: str, digest: str, now: datetime) -> datetime:
    """A check that measured nothing says nothing of the version: when it is checked again."""
    unmeasured = unmeasured_checks(known, version, digest) + 1
    wait = min(FIRST_WAIT * 2 ** min(unmeasured - 1, 10), LONGEST_WAIT)
    return _refuse_until(known, version, digest, now + wait, unmeasured)


def give_up(known: Refusal, version: str, digest: str, now: datetime) -> datetime:
    """A candidate that did not come up goes for a moment, in which a newer run may start: when it comes again."""
    return _refuse_until(known, version, digest, now + FIRST_WAIT, unmeasured_checks(known, version, digest))


def _refuse_until(known: Refusal, version: str, digest: str, again: datetime, unmeasured: int) -> datetime:
    refuse(known, version, digest)
    known.refused_until, known.unmeasured_checks = written(again), unmeasured
    return again


def unmeasured_checks(known: Refusal, version: str, digest: str) -> int:
    """How many checks of this version against these demands have measured nothing, one after the other."""
    return known.unmeasured_checks if (known.refused, known.refused_check) == (version, digest) else 0


def refused_for(known: Refusal, version: str, digest: str, now: datetime) -> timedelta | None:
    """For how long this version is not to be checked; None where it may be now, `timedelta.max` for good."""
    if (known.refused, known.refused_check) != (version, digest):
        return None
    if known.refused_until is None:
        return timedelta.max
    wait = read(known.refused_until) - now
    return wait if wait > timedelta() else None


def put_off_what_was_refused(known: Refusal, rolled_out: Condition | None, now: datetime) -> None:
    """An earlier operator took a check that measured nothing for a refusal; its words tell. It is due at once."""
    told = rolled_out is not None and rolled_out.reason == Reason.CHECK_INCONCLUSIVE and known.refused_reason is None
    if told and known.refused is not None and known.refused_until is None:
        known.refused_until, known.unmeasured_checks = written(now), 1
