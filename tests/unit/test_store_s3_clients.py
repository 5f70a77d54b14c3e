"""A process with many S3 stores: what they share, and what they must not."""

import pytest
from botocore.loaders import JSONFileLoader

from longtail_store.credentials import Credentials
from longtail_store.s3_store import S3Store


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
