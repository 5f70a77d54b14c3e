"""What a running step tells: lines on stdout, `progress.json` and `metrics.jsonl` in the store (both advisory)."""

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from longtail_api.store_layout import metrics_key, progress_key
from longtail_store import ObjectMissing, Store, StoreError

log = logging.getLogger(__name__)

PRINT_SECONDS = 1.0
UPLOAD_SECONDS = 5.0


def remaining_seconds(elapsed: float, fraction: float) -> float | None:
    """Seconds to go if the rest takes as long as what is done; None at the very start."""
    return None if fraction <= 0 else elapsed * (1 - fraction) / fraction


def duration(seconds: float) -> str:
    """`75.3` as `1m15s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


class Progress:
    """Reports of one step. Call `update` and `metric` as often as is convenient: it limits its own rate.

    store: None where nothing is to be uploaded, as another process reports the step.

    A store that fails here never fails the step: these objects decide nothing, so the failure is one line of log.
    """

    def __init__(
        self,
        store: Store | None,
        prefix: str,
        step: str,
        identity: str,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._step = step
        self._identity = identity
        self._clock = clock
        self._write = write
        self._started = clock()
        self._printed = self._uploaded = float("-inf")
        self._fraction = 0.0
        self._message = ""
        self._lines = self._earlier_lines()
        self._lines_uploaded = len(self._lines)

    def update(self, fraction: float, message: str = "") -> None:
        """The step is `fraction` (0 to 1) done, and busy with `message`."""
        self._fraction = min(1.0, max(0.0, fraction))
        changed = message != self._message
        self._message = message
        now = self._clock()
        if changed or self._fraction >= 1 or now - self._printed >= PRINT_SECONDS:
            self._printed = now
            self._write(self._line(now))
        if now - self._uploaded >= UPLOAD_SECONDS:
            self.flush()

    def metric(self, **values: float | int | str | None) -> None:
        """Append one line to `metrics.jsonl`, such as `metric(epoch=3, loss=0.41)`."""
        record: dict[str, Any] = {"identity": self._identity, "at": datetime.now(UTC).isoformat(), **values}
        self._lines.append(json.dumps(record))
        self._write(f"{self._step}: " + "  ".join(f"{name}={_short(value)}" for name, value in values.items()))
        if self._clock() - self._uploaded >= UPLOAD_SECONDS:
            self.flush()

    def records(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` so far, those of earlier attempts first."""
        return parsed_records("\n".join(self._lines))

    def flush(self) -> None:
        """Upload both objects now."""
        now = self._clock()
        self._uploaded = now
        remaining = remaining_seconds(now - self._started, self._fraction)
        state = {
            "step": self._step,
            "identity": self._identity,
            "fraction": round(self._fraction, 4),
            "message": self._message,
            "etaSeconds": None if remaining is None else round(remaining),
            "updated": datetime.now(UTC).isoformat(),
        }
        self._put(progress_key(self._prefix), json.dumps(state).encode())
        if len(self._lines) > self._lines_uploaded:
            self._lines_uploaded = len(self._lines)
            self._put(metrics_key(self._prefix), ("\n".join(self._lines) + "\n").encode())

    def _line(self, now: float) -> str:
        remaining = remaining_seconds(now - self._started, self._fraction)
        left = "" if remaining is None or self._fraction >= 1 else f"  {duration(remaining)} left"
        return f"{self._step}: {self._fraction:4.0%}{left}  {self._message}"

    def _put(self, key: str, content: bytes) -> None:
        if self._store is None:
            return
        try:
            self._store.put_advisory(key, content)
        except StoreError as error:
            log.warning("%s can't be written (%s); the step goes on", key, error)

    def _earlier_lines(self) -> list[str]:
        """The metrics of earlier attempts of this same step, so that the whole history stays in one object."""
        if self._store is None:
            return []
        try:
            content = self._store.get(metrics_key(self._prefix))
        except ObjectMissing:
            return []
        except StoreError as error:
            log.warning("earlier metrics can't be read (%s); the step goes on", error)
            return []
        return [line for line in content.decode(errors="replace").splitlines() if self._identity in line]


def parsed_records(content: str) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; one that can't be read is left out."""
    records: list[dict[str, Any]] = []
    for line in content.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(cast(dict[str, Any], record))
    return records


def _short(value: float | int | str | None) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
