"""The finalizer of a HeavyModel: only where objects are to go, and never for ever."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from longtail_api.run_config import StoreAddress
from longtail_operator.kube import KubeApi
from longtail_operator.objects import Json, Key
from longtail_operator.plan import Note
from longtail_operator.removal import Removal
from longtail_operator.store_hub import StoreHub
from longtail_store import StoreUnreachable, open_store
from tests.unit.operator_builders import NOON, SCHEMA

FINALIZER = "longtail.dev/store-cleanup"


class Patches:
    """An API server that remembers the finalizers it was told."""

    def __init__(self) -> None:
        self.finalizers: list[list[str]] = []

    async def merge(self, key: Key, patch: Json) -> Json:
        self.finalizers.append(patch["metadata"]["finalizers"])
        return patch


def a_deleted_model(policy: str, uri: str = "file:///nowhere", *finalizers: str) -> Json:
    return {
        "kind": "HeavyModel",
        "metadata": {
            "name": "shared",
            "namespace": "shop",
            "resourceVersion": "1",
            "deletionTimestamp": NOON.isoformat(),
            "finalizers": list(finalizers),
        },
        "spec": {"schema": SCHEMA, "storage": {"uri": uri}, "deletionPolicy": policy},
    }


class Place:
    """Removal over a remembered API server; `now` is so long after the deletion."""

    def __init__(self, after: timedelta = timedelta()) -> None:
        self.api = Patches()
        self.notes: list[Note] = []
        self.hub = StoreHub(cast(KubeApi, self.api))
        self.removal = Removal(
            cast(KubeApi, self.api), self.hub, lambda about, note: self.notes.append(note), lambda: NOON + after
        )


def test_the_finalizer_is_there_exactly_where_the_policy_is_delete():
    place = Place()
    asyncio.run(place.removal.prepare(a_deleted_model("Delete", "file:///x", "theirs")))
    asyncio.run(place.removal.prepare(a_deleted_model("Retain", "file:///x", "theirs", FINALIZER)))
    asyncio.run(place.removal.prepare(a_deleted_model("Retain", "file:///x", "theirs")))
    assert place.api.finalizers == [["theirs", FINALIZER], ["theirs"]]


def test_the_objects_go_before_the_finalizer(tmp_path: Path):
    uri = f"file://{tmp_path / 'store'}"
    store = open_store(StoreAddress(uri=uri))
    store.put_if_absent("data/a/1/manifest.json", b"{}")
    place = Place()
    asyncio.run(place.removal.advance(a_deleted_model("Delete", uri, "theirs", FINALIZER)))
    assert list(store.list("")) == []
    assert place.api.finalizers == [["theirs"]]


def refuse(*_: Any) -> Any:
    raise StoreUnreachable("no answer")


def test_a_store_that_does_not_answer_is_asked_again_and_given_up_after_a_while(monkeypatch: pytest.MonkeyPatch):
    model = a_deleted_model("Delete", "file:///x", FINALIZER)
    soon, late = Place(timedelta(minutes=1)), Place(timedelta(minutes=11))
    for place in (soon, late):
        monkeypatch.setattr(place.hub, "store", refuse)
    with pytest.raises(StoreUnreachable):
        asyncio.run(soon.removal.advance(model))
    assert soon.api.finalizers == []
    asyncio.run(late.removal.advance(model))
    assert late.api.finalizers == [[]]
    assert [note.reason for note in late.notes] == ["StoreCleanupGivenUp"]
