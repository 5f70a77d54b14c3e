"""Where a search keeps its trials so that its next attempt goes on from there.

Any `optuna.storages.journal.BaseJournalBackend` can be given to `search`. The one here is for a step that searches by
itself; workers on many machines that share a search need one that appends to `searches/<search>/journal/` in the
store, and heartbeats for trials whose worker is gone, which optuna's journal storage lacks.
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from longtail_trainer.running.resume import ResumePoint

RESUME_POINT = "journal"
SET_TRIAL_STATE = 6
"""optuna's operation code for a trial's end; part of the journal's format, so it doesn't change."""


ATTEMPTS_POINT = "journal-attempts"


class TrialAttempts:
    """How often each trial was begun: one in which the process dies again and again must not be begun for ever."""

    def __init__(self, resume: ResumePoint) -> None:
        self._resume = resume
        self._begun = Counter({int(number): count for number, count in json.loads(self._load()).items()})

    def begin(self, number: int) -> int:
        """How often this trial was begun and not heard of again."""
        earlier = self._begun[number]
        self._save(number, earlier + 1)
        return earlier

    def take_back(self, number: int) -> None:
        """This attempt was told to stop; that isn't the trial's fault."""
        self._save(number, self._begun[number] - 1)

    def _save(self, number: int, count: int) -> None:
        self._begun[number] = count
        self._resume.save(ATTEMPTS_POINT, json.dumps(self._begun).encode())

    def _load(self) -> bytes:
        return self._resume.load(ATTEMPTS_POINT) or b"{}"


class ResumeJournal(BaseJournalBackend):
    """The operations of one search in one resume point, one line of JSON each, saved whenever a trial has ended.

    A trial that was under way when its process ended is therefore unknown to the next one, which gives it the same
    number, and with it the same parameters.
    """

    def __init__(self, resume: ResumePoint) -> None:
        self._resume = resume
        payload = resume.load(RESUME_POINT) or b""
        self._lines = payload.decode().splitlines()

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The operations from this number on."""
        return [json.loads(line) for line in self._lines[log_number_from:]]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add operations, and save all where a trial ends with one of them."""
        self._lines += [json.dumps(log) for log in logs]
        if any(log["op_code"] == SET_TRIAL_STATE and TrialState(log["state"]).is_finished() for log in logs):
            self._resume.save(RESUME_POINT, "\n".join(self._lines).encode())
