"""The operator's own identity serves only where the installation says so."""

import asyncio
from base64 import b64encode
from typing import Any, cast

import pytest

from longtail_api.conditions import Reason
from longtail_api.run_config import StoreAddress
from longtail_api.store_objects import StoreOwner
from longtail_operator.kubernetes.kube import KubeApi
from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.meta_update import folding
from longtail_operator.settings import SettingsInvalid, settings_from
from longtail_operator.stores import hub as store_hub
from longtail_operator.stores.access import is_allowed
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.opened import HeavyModelStore
from longtail_store import Credentials, Store
from tests.unit.operator_builders import a_heavy_model

OWNER = StoreOwner(namespace="shop", name="shared", uid="m1")
IMAGES = {"LONGTAIL_TRAINER_IMAGE": "t", "LONGTAIL_SERVING_IMAGE": "s"}


class OneSecret:
    async def get(self, key: Key) -> Json:
        entries = {"AWS_ACCESS_KEY_ID": b"tenant", "AWS_SECRET_ACCESS_KEY": b"theirs"}
        return {"data": {name: b64encode(value).decode() for name, value in entries.items()}}


def opened(
    monkeypatch: pytest.MonkeyPatch, allowed: tuple[str, ...], **storage: Any
) -> tuple[Trouble | None, list[Credentials | None]]:
    """What a HeavyModel with this storage is told, and with which keys its store was opened."""
    keys: list[Credentials | None] = []

    def opening(address: StoreAddress, credentials: Credentials | None) -> Store:
        keys.append(credentials)
        raise store_hub.StoreError("far enough")

    monkeypatch.setattr(store_hub, "open_store", opening)

    async def story() -> Trouble | None:
        hub = StoreHub(cast(KubeApi, OneSecret()), allowed_stores=allowed)
        try:
            return (await hub.view(a_heavy_model(storage=storage), OWNER)).trouble
        finally:
            hub.close()

    return asyncio.run(story()), keys


@pytest.mark.parametrize("uri", ["s3://models/ads", "file:///tmp/store"])
def test_nobody_is_lent_the_operators_identity_or_its_disk_by_default(monkeypatch: pytest.MonkeyPatch, uri: str):
    trouble, keys = opened(monkeypatch, (), uri=uri)
    assert trouble is not None
    assert (trouble.reason, keys) == (Reason.IDENTITY_NOT_ALLOWED, [])
    assert "allowedStores" in trouble.message
    assert ("credentialsSecretRef" in trouble.message) is uri.startswith("s3")


def test_where_it_is_allowed_the_operator_opens_the_store_as_itself(monkeypatch: pytest.MonkeyPatch):
    assert opened(monkeypatch, ("s3://models",), uri="s3://models/ads")[1] == [None]


def test_with_a_secret_no_list_is_asked(monkeypatch: pytest.MonkeyPatch):
    assert opened(monkeypatch, (), uri="s3://models/ads", credentialsSecretRef={"name": "s3"})[1] == [
        Credentials("tenant", "theirs")
    ]


@pytest.mark.parametrize(
    ("uri", "allowed", "expected"),
    [
        ("s3://models/ads", "s3://models", True),
        ("s3://models/ads", "s3://models/ads/", True),
        ("s3://models/ads/v2", "s3://models/ads", True),
        ("s3://models/ads2", "s3://models/ads", False),
        ("s3://models", "s3://models/ads", False),
        ("s3://models2/ads", "s3://models", False),
        ("file:///mnt/store", "s3://mnt", False),
        ("file:///mnt/store", "file:///mnt", True),
        ("file:///mnt2", "file:///mnt", False),
    ],
)
def test_an_address_allows_itself_and_what_lies_below(uri: str, allowed: str, expected: bool):
    assert is_allowed(uri, (allowed,)) is expected


def test_a_fold_with_the_models_keys_has_nothing_of_the_operators_identity(monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "the operator's")
    state = HeavyModelStore(cast(Store, None), StoreAddress(uri="s3://models/ads"), Credentials("tenant", "theirs"))
    environment = folding._environment(state)  # pyright: ignore[reportPrivateUsage]
    assert {name for name in environment if name.startswith("AWS_")} == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert environment["AWS_ACCESS_KEY_ID"] == "tenant"


def test_addresses_in_the_settings_are_checked_at_the_start():
    assert settings_from(IMAGES).allowed_stores == ()
    found = settings_from(IMAGES | {"LONGTAIL_ALLOWED_STORES": "s3://models/ads, file:///mnt"})
    assert found.allowed_stores == ("s3://models/ads", "file:///mnt")
    with pytest.raises(SettingsInvalid, match="LONGTAIL_ALLOWED_STORES: 'a/b'"):
        settings_from(IMAGES | {"LONGTAIL_ALLOWED_STORES": "a/b"})
