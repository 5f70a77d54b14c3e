"""Nothing is lost and nothing counts twice: the state machine against a store in a folder."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from longtail_store import Store
from longtail_store.file_store import FileStore
from tests.store.ledger_machine import LedgerMachine
from tests.store.small_model import MEMORY


class LedgerInAFolder(LedgerMachine):
    def open_store(self) -> Store:
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        return FileStore(self.folder)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.folder)


TestLedgerInAFolder = pytest.mark.slow(LedgerInAFolder.TestCase)
TestLedgerInAFolder.settings = settings(
    max_examples=int(os.environ.get("LONGTAIL_LEDGER_EXAMPLES", "100")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
