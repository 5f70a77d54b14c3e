"""A store that has lost what was in it: noticed by one request, told, and begun anew only where a person says so."""

import asyncio
import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from longtail_api.run_config import StoreAddress
from longtail_api.store_objects import StoreOwner
from longtail_operator.kubernetes.kube import KubeApi
from longtail_operator.kubernetes.objects import Key
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.meta_update.rules import PendingFeedback
from longtail_operator.stores import opened, reading
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.view import StoreView
from longtail_store import Store, StoreUnreachable, open_store
from longtail_store.probe import ProbeResult
from tests.store.small_model import commit_generation, parameters
from tests.unit.heavy_model_story import Model, a_version, member
from tests.unit.operator_builders import MODEL_KEY, NOON, TEMPORARY, a_heavy_model

OWNER = StoreOwner(namespace=MODEL_KEY.namespace, name=MODEL_KEY.name, uid="m1")
AGAIN = "longtail.dev/run"


class Place:
    """A store with version 1, and the hub that has read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "store"
        self.spec = a_heavy_model(storage={"uri": self.folder.as_uri()})
        commit_generation(open_store(StoreAddress(uri=self.folder.as_uri())), parameters(0))
        self.woken: list[Key] = []
        self.hub = StoreHub(cast(KubeApi, None), self.woken.append, (TEMPORARY,), grace_seconds=60)

    async def view(self) -> StoreView:
        return await self.hub.view(self.spec, OWNER)

    @property
    def store(self) -> Any:
        known = self.hub.known(MODEL_KEY)
        assert known is not None
        return known.store


def test_a_store_that_stands_costs_one_request_and_wakes_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    async def story() -> Place:
        place = Place(tmp_path)
        await place.view()
        exists = place.store.exists

        def more(*_: object) -> None:
            pytest.fail("one request is enough")

        def counted(key: str) -> bool:
            asked.append(key)
            return exists(key)

        for name in ("get", "list", "put_if_absent", "now"):
            monkeypatch.setattr(place.store, name, more)
        monkeypatch.setattr(place.store, "exists", counted)
        await place.hub.feel(MODEL_KEY)
        return place

    assert asyncio.run(story()).woken == []
    assert len(asked) == 1


def test_an_emptied_store_is_read_anew_and_one_that_is_filled_again_too(tmp_path: Path):
    async def story() -> tuple[list[Key], list[int | None]]:
        place = Place(tmp_path)
        heads: list[int | None] = []
        saved = tmp_path / "saved"
        shutil.copytree(place.folder, saved)

        async def felt() -> None:
            await place.hub.feel(MODEL_KEY)
            view = await place.view()
            assert view.trouble is None
            heads.append(view.head.number if view.head else None)

        await felt()
        await felt()
        shutil.rmtree(place.folder)
        await felt()
        shutil.copytree(saved, place.folder, dirs_exist_ok=True)
        await felt()
        return place.woken, heads

    woken, heads = asyncio.run(story())
    assert heads == [1, 1, None, 1]
    assert woken == [MODEL_KEY, MODEL_KEY]


def test_a_store_that_is_away_is_read_anew_so_that_this_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def away(key: str) -> bool:
        raise StoreUnreachable("it is away")

    async def story() -> list[Key]:
        place = Place(tmp_path)
        await place.view()
        monkeypatch.setattr(place.store, "exists", away)
        await place.hub.feel(MODEL_KEY)
        view = await place.view()
        assert view.trouble == Trouble("StoreUnreachable", "it is away")
        return place.woken

    assert asyncio.run(story()) == [MODEL_KEY]


def test_a_store_in_which_two_writers_won_is_tried_again_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    races: list[bool] = []

    def race(store: Store) -> ProbeResult:
        races.append(len(races) > 0)
        return ProbeResult(races[-1], "two writers won")

    monkeypatch.setattr(reading, "race_conditional_puts", race)

    async def story() -> list[bool]:
        place = Place(tmp_path)
        usable: list[bool] = []
        for retry, raced in ((0.0, 600.0), (0.0, 600.0), (0.0, 0.0)):
            monkeypatch.setattr(opened, "RETRY_SECONDS", retry)
            monkeypatch.setattr(reading, "NOT_ATOMIC_SECONDS", raced)
            usable.append((await place.view()).trouble is None)
        return usable

    assert asyncio.run(story()) == [False, False, True]
    assert len(races) == 2


def test_feedback_that_a_fold_did_not_find_is_not_asked_for_again(tmp_path: Path):
    async def story() -> list[bool]:
        place = Place(tmp_path)
        await place.view()
        item = PendingFeedback(NOON, "team.ads.00000001", 1, "agnostic/feedback/team.ads.00000001/1.safetensors")
        state = place.hub.known(MODEL_KEY)
        assert state is not None
        news = [place.hub.add_feedback(MODEL_KEY, item), place.hub.add_feedback(MODEL_KEY, item)]
        assert item.key in state.pending
        del state.pending[item.key]
        state.lost.add(item.key)
        news.append(place.hub.add_feedback(MODEL_KEY, item))
        assert not state.pending
        return news

    assert asyncio.run(story()) == [True, False, False]


def an_emptied_model() -> Model:
    model = Model(member("a"), member("b"))
    model.settle()
    model.ends(status="Succeeded", resultSha256="a" * 64, outputs={"agnosticVersion": 1})
    model.store = StoreView(head=a_version())
    model.settle()
    model.children.clear()
    model.store = StoreView()
    model.settle()
    return model


def test_a_model_whose_versions_are_gone_says_so_and_what_to_do():
    model = an_emptied_model()
    assert model.condition("StoreReady") == ("False", "StoreEmptied")
    assert model.condition("Ready") == ("False", "StoreEmptied")
    assert "had version 1" in model.message("Ready")
    assert f"kubectl annotate heavymodel shared --namespace shop --overwrite {AGAIN}" in model.message("Ready")
    assert not model.jobs()
    assert model.status["version"]["number"] == 1


def test_it_goes_on_by_itself_once_they_are_back():
    model = an_emptied_model()
    model.store = StoreView(head=a_version())
    model.settle()
    assert model.condition("Ready")[0] == "True"


def test_it_begins_anew_where_a_person_says_so():
    model = an_emptied_model()
    model.raw["metadata"]["annotations"][AGAIN] = "1764316800"
    model.settle()
    assert model.condition("StoreReady")[0] == "True"
    assert len(model.jobs()) == 1
    assert "version" not in model.status
