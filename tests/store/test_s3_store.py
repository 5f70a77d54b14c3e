"""The store's contract against a real S3 server, and what only S3 has: credentials, buckets, conflicts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from longtail_api.run_config import StoreAddress
from longtail_store import BucketMissing, Credentials, CredentialsInvalid, Store, StoreUnreachable, open_store
from longtail_store.probe import PROBE_PREFIX, race_conditional_puts
from tests.demo.installation import s3_client
from tests.devcluster import Endpoint, local_versitygw
from tests.store.contract import StoreContract

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Iterator[Endpoint]:
    with local_versitygw(folder) as endpoint:
        yield endpoint


@pytest.fixture
def bucket(folder: Path, request: pytest.FixtureRequest) -> str:
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    (folder / name).mkdir()
    return name


@pytest.fixture
def store(endpoint: Endpoint, bucket: str) -> Store:
    return opened(endpoint, bucket)


def opened(endpoint: Endpoint, bucket: str, secret: str | None = None) -> Store:
    address = StoreAddress(uri=f"s3://{bucket}/some/prefix", endpoint=endpoint.url)
    return open_store(address, Credentials(endpoint.access_key, secret or endpoint.secret_key))


class TestS3Store(StoreContract):
    pass


def test_two_prefixes_of_a_bucket_are_two_stores(endpoint: Endpoint, bucket: str, store: Store) -> None:
    store.put_if_absent("a", b"1")
    address = StoreAddress(uri=f"s3://{bucket}/some/pre", endpoint=endpoint.url)
    other = open_store(address, Credentials(endpoint.access_key, endpoint.secret_key))
    assert [found.key for found in other.list("")] == []


@pytest.mark.parametrize(
    ("key", "expected"),
    [("cell.svg", "image/svg+xml"), ("a.json", "application/json"), ("b", "application/octet-stream")],
)
def test_a_browser_is_told_what_it_gets(
    endpoint: Endpoint, bucket: str, store: Store, key: str, expected: str, tmp_path: Path
) -> None:
    client = s3_client(endpoint)
    (tmp_path / "file").write_bytes(b"{}")
    store.put_advisory(key, tmp_path / "file")
    store.put_if_absent(f"again/{key}", b"{}")
    for name in (key, f"again/{key}"):
        found = client.head_object(Bucket=bucket, Key=f"some/prefix/{name}")
        assert found["ContentType"] == expected


def test_a_listing_goes_on_after_its_first_thousand(folder: Path, bucket: str, store: Store) -> None:
    many = folder / bucket / "some/prefix/many"  # the gateway shows files as objects; putting 1,005 takes 20 s
    many.mkdir(parents=True)
    for number in range(1005):
        (many / f"{number:04d}").touch()
    assert [found.key for found in store.list("many/")] == [f"many/{number:04d}" for number in range(1005)]


def test_wrong_credentials_are_the_users_to_mend(endpoint: Endpoint, bucket: str) -> None:
    with pytest.raises(CredentialsInvalid, match="SignatureDoesNotMatch"):
        opened(endpoint, bucket, secret="wrong").put_if_absent("a", b"")


def test_a_missing_bucket_is_the_users_to_make(endpoint: Endpoint) -> None:
    with pytest.raises(BucketMissing, match="create it"):
        opened(endpoint, "nowhere").get("a")


def test_a_server_that_is_away_is_worth_a_retry() -> None:
    address = StoreAddress(uri="s3://bucket/prefix", endpoint="http://127.0.0.1:9")
    with pytest.raises(StoreUnreachable):
        open_store(address, Credentials("a", "b")).get("a")


def test_this_server_lets_one_of_racing_writers_win(store: Store) -> None:
    result = race_conditional_puts(store, racers=6, races=10)
    assert result.atomic, result.message
    assert list(store.list(PROBE_PREFIX)) == []
