"""Nothing is lost and nothing counts twice: the state machine against a real S3 server."""

import itertools
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from longtail_api.run_config import StoreAddress
from longtail_store import Credentials, Store, open_store
from tests.devcluster import Endpoint, local_versitygw
from tests.store.ledger_machine import LedgerMachine

pytestmark = pytest.mark.s3
BUCKET = "longtail"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("s3")
    (folder / BUCKET).mkdir()
    with local_versitygw(folder) as endpoint:
        yield endpoint


@pytest.mark.timeout(600)
def test_every_acknowledged_feedback_ends_in_one_version_of_one_chain(endpoint: Endpoint) -> None:
    numbers = itertools.count()
    credentials = Credentials(endpoint.access_key, endpoint.secret_key)

    class LedgerOnS3(LedgerMachine):
        def open_store(self) -> Store:
            address = StoreAddress(uri=f"s3://{BUCKET}/example-{next(numbers)}", endpoint=endpoint.url)
            return open_store(address, credentials)

    run_state_machine_as_test(
        LedgerOnS3,
        settings=settings(
            max_examples=int(os.environ.get("LONGTAIL_LEDGER_EXAMPLES_S3", "12")),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
