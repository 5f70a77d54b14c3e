"""Times as resources hold them: RFC 3339, UTC, whole seconds."""

from datetime import UTC, datetime


def whole_seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def written(moment: datetime) -> str:
    """`2026-01-31T12:00:00Z`."""
    return whole_seconds(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
