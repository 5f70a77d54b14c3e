"""When things happen: behavior from the start on, samples once there is a history."""

from datetime import UTC, datetime

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000  # microseconds
SPAN = 90 * DAY
FIRST_SAMPLE = 30 * DAY
