"""What the operator says of a store: one reason for each thing that can be wrong, and no key in any of them."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from longtail_api.conditions import Reason
from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.labels import ADOPT_ANNOTATION
from longtail_api.store_layout import owner_key
from longtail_api.store_objects import StoreOwner
from longtail_operator.kubernetes.kube import KubeError
from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.stores import reading
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.view import StoreView
from longtail_store import StoreRefused, StoreUnreachable, errors
from longtail_store.file_store import FileStore
from tests.store.scripted_s3 import Answering, Reply, ScriptedS3, echo, error, page, scripted_s3
from tests.unit.operator_builders import TEMPORARY, a_heavy_model

KEY = Key("HeavyModel", "shop", "shared")
OWNER = StoreOwner(namespace="shop", name="shared", uid="m1")
ACCESS, SECRET = b"CANARYACCESSKEY", b"canary/secret"
GOOD = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}


class Secrets:
    """An API server with one Secret of these entries; or with none, or that refuses."""

    def __init__(self, entries: dict[str, bytes] | KubeError | None) -> None:
        self.entries = entries

    async def get(self, key: Key) -> Json | None:
        if isinstance(self.entries, KubeError):
            raise self.entries
        if self.entries is None:
            return None
        return {"data": {name: b64encode(value).decode() for name, value in self.entries.items()}}


pytestmark = pytest.mark.usefixtures("without_pauses")


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedS3]:
    with scripted_s3() as server:
        yield server


def spec(endpoint: str) -> HeavyModelSpec:
    storage = {"uri": "s3://bucket/p", "endpoint": endpoint, "credentialsSecretRef": {"name": "s3"}}
    return a_heavy_model(storage=storage)


def seen(endpoint: str, entries: dict[str, bytes] | KubeError | None) -> StoreView:
    hub = StoreHub(Secrets(entries), grace_seconds=60)  # pyright: ignore[reportArgumentType]
    try:
        return asyncio.run(hub.view(spec(endpoint), OWNER))
    finally:
        hub.close()


def trouble(endpoint: str, entries: dict[str, bytes] | KubeError | None) -> Trouble:
    found = seen(endpoint, entries).trouble
    assert found is not None
    for canary in ("CANARY", "canary/", "Signature=", "AWS4-HMAC"):
        assert canary not in found.message
    return found


ANSWERS: list[tuple[str, Answering]] = [
    ("AccessDenied", lambda request: echo(request)),
    ("CredentialsInvalid", lambda request: echo(request, 403, "SignatureDoesNotMatch")),
    ("ClockSkewed", lambda request: error(403, "RequestTimeTooSkewed")),
    ("BucketMissing", lambda request: error(404, "NoSuchBucket")),
    ("WrongRegion", lambda request: error(400, "AuthorizationHeaderMalformed")),
    ("EndpointRedirects", lambda request: page(301, {"Location": "https://s3.example.com/"})),
    ("NotS3", lambda request: page(404)),
    ("NotS3", lambda request: page(200)),
    ("QuotaExceeded", lambda request: error(403, "QuotaExceeded")),
    ("ObjectLocked", lambda request: error(400, "ObjectLocked")),
    ("RequestRefused", lambda request: error(405, "MethodNotAllowed")),
    ("StoreNotAtomic", lambda request: error(501, "NotImplemented") if request.method == "PUT" else None),
    ("StoreNotAtomic", lambda request: Reply(200) if request.method == "PUT" else None),
    ("StoreUnreachable", lambda request: error(503, "SlowDown")),
]


@pytest.mark.parametrize(
    ("reason", "answering"), ANSWERS, ids=[f"{n} {reason}" for n, (reason, _) in enumerate(ANSWERS)]
)
def test_what_is_wrong_with_a_store_is_the_reason(server: ScriptedS3, reason: str, answering: Answering):
    server.answering = answering
    assert trouble(server.url, GOOD).reason == reason


def test_a_server_that_is_away_is_told_apart():
    assert trouble("http://127.0.0.1:9", GOOD).reason == "ConnectionRefused"
    assert trouble("http://no-such-host.invalid", GOOD).reason == "HostNotResolved"


@pytest.mark.parametrize(
    "entries",
    [
        GOOD | {"truststore.p12": b"\x30\x82\x0a\xff\xfe", "note": "schlüssel".encode("latin-1")},
        {name: value + b"\n" for name, value in GOOD.items()},
        {name: b" " + value + b"\r\n" for name, value in GOOD.items()} | {"AWS_SESSION_TOKEN": b"\n"},
    ],
    ids=["others are binary", "newline", "white space"],
)
def test_three_entries_of_a_secret_count_and_their_ends_do_not(server: ScriptedS3, entries: dict[str, bytes]):
    server.answering = lambda request: None
    server.requests.clear()
    assert seen(server.url, entries).trouble is None
    assert f"Credential={ACCESS.decode()}/" in server.requests[0].headers["authorization"]


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("value", [b"CANARY\nACCESS", b"CANARY\x00", b"CANARY\xff\xfe", b"CANARY\x7fx"])
def test_an_entry_that_can_be_no_key_is_named(name: str, value: bytes):
    found = trouble("http://127.0.0.1:9", GOOD | {name: value + b"canary/"})
    assert found.reason == Reason.CREDENTIALS_INVALID
    assert "Secret s3 in namespace shop" in found.message
    assert name in found.message


@pytest.mark.parametrize("value", [None, b"", b" \n"])
@pytest.mark.parametrize("name", list(GOOD))
def test_an_entry_that_is_missing_is_named(name: str, value: bytes | None):
    entries = {**GOOD, name: value or b""} if value is not None else {key: GOOD[key] for key in GOOD if key != name}
    found = trouble("http://127.0.0.1:9", entries)
    assert (found.reason, name in found.message) == (Reason.CREDENTIALS_MISSING, True)


def test_a_secret_that_is_not_there_or_may_not_be_read_is_named():
    assert trouble("http://127.0.0.1:9", None).reason == Reason.CREDENTIALS_MISSING
    found = trouble("http://127.0.0.1:9", KubeError(403, "Forbidden", "secrets is forbidden"))
    assert (found.reason, "secrets is forbidden" in found.message) == (Reason.CREDENTIALS_MISSING, True)


@pytest.mark.parametrize("kind", [RecursionError, KeyError, UnicodeError, MemoryError])
def test_what_nobody_foresaw_is_a_status_too(
    kind: Callable[[str], Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    text = f"Credential={ACCESS.decode()}"

    def fail(*_: object) -> None:
        raise kind(text)

    monkeypatch.setattr(reading, "owner_of", fail)
    with caplog.at_level(logging.INFO):
        assert trouble("http://127.0.0.1:9", GOOD).reason == Reason.STORE_FAILED
    assert "CANARY" not in caplog.text


def test_every_class_of_the_stores_refusals_is_a_reason():
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, StoreRefused | StoreUnreachable) and kind is not StoreRefused:
            assert kind.__name__ in set(Reason)


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        ('{"schemaVersion": 9}', "SchemaVersionUnsupported", "has schemaVersion 9, this Longtail reads 0 to 1"),
        ("{}", "Corrupt", "is no StoreOwner"),
    ],
)
def test_an_object_that_this_operator_cant_read_is_told_as_that(tmp_path: Path, content: str, reason: str, words: str):
    FileStore(tmp_path).put_if_absent(owner_key(1), content.encode())
    (view,) = views(tmp_path, ("1", None))
    assert view.trouble is not None
    assert view.trouble.reason == reason
    assert words in view.trouble.message


def views(folder: Path, *asked: tuple[str, str | None]) -> list[StoreView]:
    """What HeavyModels of these uids see of one store, one after the other; each with what its annotation adopts."""

    async def story() -> list[StoreView]:
        hub = StoreHub(Secrets(None), allowed_stores=(TEMPORARY,), grace_seconds=60)  # pyright: ignore[reportArgumentType]
        found: list[StoreView] = []
        for uid, adopted in asked:
            hub.forget(Key("HeavyModel", "shop", f"model-{uid}"))
            owner = StoreOwner(namespace="shop", name=f"model-{uid}", uid=uid)
            found.append(await hub.view(a_heavy_model(storage={"uri": folder.as_uri()}), owner, adopted))
        hub.close()
        return found

    return asyncio.run(story())


def test_a_store_that_belongs_to_another_model_is_not_used_and_says_whose_it_is(tmp_path: Path):
    first, second, again = views(tmp_path, ("1", None), ("2", None), ("1", None))
    assert first.trouble is None
    assert again.trouble is None
    assert second.trouble is not None
    assert second.trouble.reason == Reason.STORE_TAKEN
    assert "HeavyModel shop/model-1 (uid 1)" in second.trouble.message
    assert f"heavymodel model-2 --namespace shop --overwrite {ADOPT_ANNOTATION}=1" in second.trouble.message


def test_an_address_in_a_folder_of_anothers_store_is_taken_unless_it_was_there_first(tmp_path: Path):
    inner = tmp_path / "data" / "inner"
    (first,) = views(inner, ("1", None))
    views(tmp_path, ("2", None))
    (again,) = views(inner, ("1", None))
    (late,) = views(tmp_path / "models" / "late", ("3", None))
    assert first.trouble is None
    assert again.trouble is None
    assert late.trouble is not None
    assert late.trouble.reason == Reason.STORE_TAKEN
    assert f"the store at {tmp_path.as_uri()} keeps" in late.trouble.message
    assert "HeavyModel shop/model-2" in late.trouble.message


def test_a_person_may_give_the_store_to_another_model(tmp_path: Path):
    _, second, first = views(tmp_path, ("1", None), ("2", "1"), ("1", None))
    assert second.trouble is None
    assert first.trouble is not None
    assert first.trouble.reason == Reason.STORE_TAKEN


def test_of_a_store_that_belongs_to_another_nothing_but_its_owner_is_read(tmp_path: Path, monkeypatch):
    views(tmp_path, ("1", None))
    for name in ("_read_chain", "race_conditional_puts"):
        monkeypatch.setattr(reading, name, lambda *_: pytest.fail("it is another's"))
    (view,) = views(tmp_path, ("2", None))
    assert view.trouble is not None
