"""When a cron schedule starts something: a pure function of the clock and of what was handled before."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter


class ScheduleInvalid(Exception):
    """The user must act: the cron expression or the time zone has no meaning."""


@dataclass(frozen=True)
class Decision:
    """What a schedule asks for now."""

    start: bool
    """Start now."""
    handled: datetime
    """The newest scheduled time that is over, started or skipped: remember it."""
    next: datetime
    """When to look again."""


def jitter(name: str, longest_seconds: int) -> timedelta:
    """A part of `longest_seconds` that depends on the name alone, so that a restart does not move it."""
    digest = hashlib.sha256(name.encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % (longest_seconds + 1))


def decide(
    cron: str, time_zone: str, handled: datetime, now: datetime, deadline: timedelta, delay: timedelta,
    field: str = "refresh.model",
) -> Decision:  # fmt: skip
    """Is a start due at `now`, given that everything up to `handled` is settled?

    Of several missed starts only the latest counts, and only within `deadline`. `delay` moves every start (jitter).
    `field` is where `cron` stands in the spec, with the time zone beside it. Raises `ScheduleInvalid`, which names it.
    """
    backwards = backward_range(cron)
    if backwards is not None:
        written, instead = backwards
        raise ScheduleInvalid(f"{field}: {cron!r} has a range that runs backwards; for {written} write {instead}")
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ScheduleInvalid(
            f"{field.rpartition('.')[0]}.timeZone: {time_zone!r} is no time zone; give a name such as Europe/Paris"
        ) from None
    local = (now - delay).astimezone(zone)
    try:
        # get_prev is exclusive of its start; a microsecond later it is inclusive.
        latest = _moment(croniter(cron, local + timedelta(microseconds=1)).get_prev(datetime))
        following = _moment(croniter(cron, local).get_next(datetime))
    except CroniterError as error:
        raise ScheduleInvalid(
            f"{field}: {cron!r} is no schedule that ever comes; give a day that its month has"
        ) from error
    due = latest > handled
    return Decision(
        start=due and now - (latest + delay) <= deadline,
        handled=max(latest, handled),
        next=following + delay,
    )


def backward_range(cron: str) -> tuple[str, str] | None:
    """The first range of a cron expression whose end comes before its beginning, and what to write instead of it.

    croniter would go round the end of the hour, the day or the week; crontab and Kubernetes' CronJob refuse.
    """
    for text, names in zip(cron.lower().split(), _FIELDS, strict=False):
        for written in text.split(","):
            low, _, high = written.partition("/")[0].partition("-")
            if not high or _place(low, names) <= _place(high, names):
                continue
            if low == "7":  # Sunday, at either end of the week
                return written, f"0-{high}"
            spoken = low.isalpha() or high.isalpha()
            first, last = (names[0], names[-1]) if spoken else (_number(names[0], names), _number(names[-1], names))
            return written, f"{low}-{last},{first}-{high}"
    return None


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, ...], ...] = (
    tuple(map(str, range(60))),
    tuple(map(str, range(24))),
    tuple(map(str, range(1, 32))),
    _MONTHS,
    _DAYS,
)
"""What the five fields of a cron expression count, in order."""


def _number(name: str, names: tuple[str, ...]) -> str:
    """How a cron expression writes the name as a number: months count from 1, days from 0."""
    return name if name.isdecimal() else str(names.index(name) + (names is _MONTHS))


def _place(text: str, names: tuple[str, ...]) -> int:
    return int(text) if text.isdecimal() else int(_number(text, names))


def _moment(value: Any) -> datetime:
    return cast(datetime, value)
