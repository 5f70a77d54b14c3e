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
    field: str = "refresh",
) -> Decision:  # fmt: skip
    """Is a start due at `now`, given that everything up to `handled` is settled?

    Of several missed starts only the latest counts, and only within `deadline`. `delay` moves every start (jitter).
    Raises `ScheduleInvalid`, which names `field`.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ScheduleInvalid(
            f"{field}.timeZone: {time_zone!r} is no time zone; give a name such as Europe/Paris"
        ) from None
    local = (now - delay).astimezone(zone)
    try:
        # get_prev is exclusive of its start; a microsecond later it is inclusive.
        latest = _moment(croniter(cron, local + timedelta(microseconds=1)).get_prev(datetime))
        following = _moment(croniter(cron, local).get_next(datetime))
    except CroniterError as error:
        raise ScheduleInvalid(f"{field}: {cron!r} is no schedule that ever comes: {error}") from error
    due = latest > handled
    return Decision(
        start=due and now - (latest + delay) <= deadline,
        handled=max(latest, handled),
        next=following + delay,
    )


def _moment(value: Any) -> datetime:
    return cast(datetime, value)
