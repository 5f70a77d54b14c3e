"""A process with many S3 stores: what they share, and what they must not."""

import pytest
from botocore.loaders import JSONFileLoader

from longtail_api.heavy_model import Retention
from longtail_store.credentials import Credentials
from longtail_store.errors import StoreUnreachable
from longtail_store.s3_client import ATTEMPTS, CONNECT_SECONDS, LONGEST_SECONDS, READ_SECONDS
from longtail_store.s3_store import CONFLICT_SECONDS, S3Store
from tests.store.scripted_s3 import Reply, Request, error, scripted_s3


def a_store(number: int) -> S3Store:
    return S3Store(
        "bucket", "", endpoint=f"http://store-{number}.example", region="us-east-1", path_style=True,
        ca_bundle_file=None, credentials=Credentials(f"key-{number}", "secret", None),
    )  # fmt: skip


def test_botocores_descriptions_of_services_are_read_once_and_keys_are_each_stores_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = a_store(1)
    read: list[str] = []
    original = JSONFileLoader.load_file

    def counted(self: JSONFileLoader, path: str) -> object:
        found = original(self, path)
        if found is not None:
            read.append(path)
        return found

    monkeypatch.setattr(JSONFileLoader, "load_file", counted)
    second = a_store(2)
    assert read == []
    keys = [store._client._request_signer._credentials.access_key for store in (first, second)]  # pyright: ignore
    assert keys == ["key-1", "key-2"]


def test_a_client_waits_as_long_as_is_said_for_an_answer_and_tries_as_often() -> None:
    with scripted_s3() as server:
        asked: list[Request] = []

        def busy(request: Request) -> Reply:
            asked.append(request)
            return error(503, "SlowDown")

        server.answering = busy
        with pytest.raises(StoreUnreachable):
            S3Store(
                "bucket", "", endpoint=server.url, region="us-east-1", path_style=True, ca_bundle_file=None,
                credentials=Credentials("key", "secret", None),
            ).get("a")  # fmt: skip
        assert len(asked) == ATTEMPTS
    settings = a_store(1)._client.meta.config  # pyright: ignore
    assert (settings.connect_timeout, settings.read_timeout) == (CONNECT_SECONDS, READ_SECONDS)


def test_no_put_arrives_after_what_it_names_was_removed_as_an_orphan() -> None:
    (shortest,) = (rule.ge for rule in Retention.model_fields["orphans_seconds"].metadata if hasattr(rule, "ge"))
    assert shortest / 2 > LONGEST_SECONDS + CONFLICT_SECONDS
