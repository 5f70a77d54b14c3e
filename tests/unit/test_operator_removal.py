"""The finalizer of a HeavyModel or a Scenario: only where objects are to go, and never for ever."""

import asyncio
import threading
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import FEEDBACK_PREFIX, feedback_key, manifest_key, model_key, result_key, scenario_key
from longtail_api.store_objects import StoreOwner
from longtail_operator.kubernetes.apply import Applier, Outdated
from longtail_operator.kubernetes.kube import KubeApi, KubeError
from longtail_operator.kubernetes.objects import Json, Key, key_of
from longtail_operator.kubernetes.plan import Note
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.meta_update.fold import fold
from longtail_operator.meta_update.ledger import pending
from longtail_operator.observer import Observer
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.removal import Removal
from longtail_store import CredentialsMissing, Store, StoreUnreachable, open_store
from longtail_store.feedback import write_feedback
from longtail_store.file_store import FileStore
from longtail_store.ownership import claim
from longtail_store.settled_log import SettledLog, read_head
from tests.store.small_model import PARAMETERS, commit_generation, dense_gradients, parameters
from tests.unit.operator_builders import NOON, SCHEMA, TEMPORARY

FINALIZER = "longtail.dev/store-cleanup"
SPRING = scenario_key("shop", "spring.sale", "5bd2ac1e-77a0-4a3f-9a0e-0f4cbb6a1f0d")
MANIFEST, RESULT, MODEL = manifest_key(SPRING, "d1"), result_key(SPRING, 1, "prepare"), model_key(SPRING, "v1")
THEIRS = [
    "data/behaviors/visits/part-0.parquet",
    "data/clicks.daily.20240101/part-0.parquet",
    "data/samples.parquet",
    "home/bob/notes.txt",
    "models/resnet/1/weights.bin",
    "owners/of-the-bucket.txt",
    "runs/2024/1/log.txt",
]
"""What lies in the same bucket, in folders that are called as ours are."""


class Patches:
    """An API server that remembers the finalizers it was told; or refuses, with this status."""

    def __init__(self) -> None:
        self.finalizers: list[list[str]] = []
        self.refusal: int | None = None
        self.statuses: list[Json] = []
        self.deleted: list[Key] = []

    async def apply_status(self, item: Json) -> Json:
        self.statuses.append(item["status"])
        return {**item, "metadata": {**item["metadata"], "resourceVersion": "2"}}

    async def delete(self, key: Key, uid: str) -> None:
        self.deleted.append(key)

    async def merge(self, key: Key, patch: Json) -> Json:
        if self.refusal is not None:
            raise KubeError(self.refusal, "Refused", "no")
        self.finalizers.append(patch["metadata"]["finalizers"])
        identified = {"name": key.name, "namespace": key.namespace, "uid": "u", "resourceVersion": "2"}
        return {"kind": key.kind, "metadata": {**patch["metadata"], **identified}}


def a_deleted_model(policy: str, uri: str = "file:///nowhere", *finalizers: str) -> Json:
    return {
        "apiVersion": "longtail.dev/v1alpha1",
        "kind": "HeavyModel",
        "metadata": {
            "uid": "m1",
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
        self.after = after
        self.api = Patches()
        self.notes: list[Note] = []
        self.hub = StoreHub(cast(KubeApi, self.api), allowed_stores=(TEMPORARY, "file:///nowhere", "file:///x"))
        self.snapshot = Snapshot()
        observer = Observer(self.snapshot, WorkQueue[Key]())
        self.removal = Removal(
            cast(KubeApi, self.api),
            self.snapshot,
            Applier(cast(KubeApi, self.api), self.snapshot, observer),
            observer,
            self.hub,
            lambda about, note: self.notes.append(note),
            lambda: NOON + self.after,
        )


def test_the_finalizer_is_there_exactly_where_the_policy_is_delete():
    place = Place()
    asyncio.run(place.removal.prepare(a_deleted_model("Delete", "file:///x", "theirs")))
    asyncio.run(place.removal.prepare(a_deleted_model("Retain", "file:///x", "theirs", FINALIZER)))
    asyncio.run(place.removal.prepare(a_deleted_model("Retain", "file:///x", "theirs")))
    assert place.api.finalizers == [["theirs", FINALIZER], ["theirs"]]


def test_what_putting_the_finalizer_on_has_changed_is_seen_at_once():
    place = Place()
    asyncio.run(place.removal.prepare(a_deleted_model("Delete", "file:///x")))
    known = place.snapshot.get(Key("HeavyModel", "shop", "shared"))
    assert known is not None
    assert known["metadata"]["resourceVersion"] == "2"


@pytest.mark.parametrize(("refusal", "raised"), [(409, True), (404, False)])
def test_a_model_that_changed_meanwhile_is_decided_about_anew_and_one_that_is_gone_is_left(refusal: int, raised: bool):
    place = Place()
    place.api.refusal = refusal
    with pytest.raises(Outdated) if raised else nullcontext():
        asyncio.run(place.removal.prepare(a_deleted_model("Delete", "file:///x")))


def test_the_objects_go_before_the_finalizer(tmp_path: Path):
    uri = f"file://{tmp_path / 'store'}"
    store = open_store(StoreAddress(uri=uri))
    store.put_if_absent(MANIFEST, b"{}")
    place = Place()
    asyncio.run(place.removal.advance(a_deleted_model("Delete", uri, "theirs", FINALIZER)))
    assert list(store.list("")) == []
    assert place.api.finalizers == [["theirs"]]


def test_the_objects_go_although_the_secret_went_first_as_it_does_with_a_namespace(tmp_path: Path):
    uri = f"file://{tmp_path / 'store'}"
    store = open_store(StoreAddress(uri=uri))
    store.put_if_absent(MANIFEST, b"{}")
    place = Place()
    model = a_deleted_model("Delete", uri, FINALIZER)

    async def no_secret(*_: Any) -> Any:
        raise CredentialsMissing("there is no Secret")

    async def story() -> None:
        await place.hub.opened(key_of(model), HeavyModelSpec.model_validate(model["spec"]))
        place.hub.opened = no_secret
        await place.removal.advance(model)

    asyncio.run(story())
    assert list(store.list("")) == []
    assert place.api.finalizers == [[]]


def refuse(*_: Any) -> Any:
    raise StoreUnreachable("no answer")


def given_up(place: Place, model: Json, error: type[Exception]) -> None:
    """The objects can't be removed for ten minutes, and then the model goes all the same."""
    for minutes in (0, 9):
        place.after = timedelta(hours=1, minutes=minutes)
        with pytest.raises(error):
            asyncio.run(place.removal.advance(model))
        assert place.api.finalizers == []
    place.after = timedelta(hours=1, minutes=11)
    asyncio.run(place.removal.advance(model))
    assert place.api.finalizers == [[]]
    assert place.notes[-1].reason == "StoreCleanupGivenUp"


def test_a_store_that_does_not_answer_is_asked_again_and_given_up_after_a_while(monkeypatch: pytest.MonkeyPatch):
    """However long the model has waited for others before."""
    place = Place()
    monkeypatch.setattr(place.hub, "opened", refuse)
    given_up(place, a_deleted_model("Delete", "file:///x", FINALIZER), StoreUnreachable)


def test_a_model_that_an_unreachable_store_keeps_says_so_and_until_when(monkeypatch: pytest.MonkeyPatch):
    model = a_deleted_model("Delete", "file:///x", FINALIZER)
    place = Place(timedelta(minutes=1))
    monkeypatch.setattr(place.hub, "opened", refuse)
    with pytest.raises(StoreUnreachable):
        asyncio.run(place.removal.advance(model))
    (ready,) = place.api.statuses[-1]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "False", "Deleting")
    assert "no answer" in ready["message"]
    assert "until 2026-06-01T12:11:00Z" in ready["message"]
    assert [note.reason for note in place.notes] == ["StoreCleanupDelayed"]
    with pytest.raises(StoreUnreachable):
        asyncio.run(place.removal.advance({**model, "status": place.api.statuses[-1]}))
    assert len(place.notes) == 1, "one event for one thing"


@pytest.mark.parametrize("error", [ValueError("no such thing"), RecursionError(), KubeError(403, "Forbidden", "no")])
def test_whatever_keeps_the_objects_from_going_keeps_the_model_for_a_while_only(error: Exception):
    def fail(*_: Any) -> Any:
        raise error

    place = Place()
    place.hub.opened = fail
    given_up(place, a_deleted_model("Delete", "file:///x", FINALIZER), type(error))


def test_a_spec_that_is_none_any_more_keeps_the_model_for_a_while_only():
    given_up(Place(), a_deleted_model("Delete", "gs://elsewhere", FINALIZER), ValidationError)


def in_a_store(folder: Path, *keys: str, owner: str | None = "m1") -> tuple[str, Store]:
    """A store with these objects, which belongs to the HeavyModel of this uid."""
    uri = f"file://{folder / 'store'}"
    store = open_store(StoreAddress(uri=uri))
    for key in keys:
        store.put_if_absent(key, b"{}")
    if owner is not None:
        claim(store, StoreOwner(namespace="shop", name="shared", uid=owner))
    return uri, store


def keys_of(store: Store) -> list[str]:
    return [found.key for found in store.list("")]


def test_what_is_not_ours_stays(tmp_path: Path):
    uri, store = in_a_store(tmp_path, RESULT, *THEIRS)
    asyncio.run(Place().removal.advance(a_deleted_model("Delete", uri, FINALIZER)))
    assert keys_of(store) == THEIRS


def test_of_a_store_that_belongs_to_another_nothing_goes(tmp_path: Path):
    uri, store = in_a_store(tmp_path, RESULT, owner="m2")
    place = Place()
    asyncio.run(place.removal.advance(a_deleted_model("Delete", uri, FINALIZER)))
    assert len(keys_of(store)) == 2
    assert place.api.finalizers == [[]]
    assert [note.reason for note in place.notes] == ["StoreKept"]


def test_nothing_goes_while_a_scenario_refers_to_the_model_and_the_condition_names_it(tmp_path: Path):
    uri, store = in_a_store(tmp_path, MODEL)
    place = Place(after=timedelta(days=1))
    scenario = {
        "kind": "Scenario",
        "metadata": {"name": "spring", "namespace": "branch", "uid": "s1", "resourceVersion": "1"},
        "spec": {"heavyModelRef": {"name": "shared", "namespace": "shop"}},
    }
    place.snapshot.observe(scenario)
    model = a_deleted_model("Delete", uri, FINALIZER)
    model["spec"]["allowedNamespaces"] = ["branch"]
    # Of somebody else, and with words that mean nothing here.
    model["status"] = {"conditions": [{"type": "Approved", "status": "Maybe"}]}
    assert asyncio.run(place.removal.advance(model)) is not None
    assert len(keys_of(store)) == 2
    (status,) = place.api.statuses
    (ready,) = status["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "Deleting")
    assert "branch/spring" in ready["message"]

    place.snapshot.forget(scenario)
    assert asyncio.run(place.removal.advance(model)) is None
    assert keys_of(store) == []
    assert place.api.finalizers == [[]]


@pytest.mark.parametrize(("status", "waits"), [({}, False), ({"run": {"number": 1}}, True)])
def test_who_was_never_allowed_keeps_nothing_from_going(tmp_path: Path, status: Json, waits: bool):
    uri, store = in_a_store(tmp_path, MODEL)
    place = Place()
    place.snapshot.observe(
        {
            "kind": "Scenario",
            "metadata": {"name": "spring", "namespace": "stranger", "uid": "s1", "resourceVersion": "1"},
            "spec": {"heavyModelRef": {"name": "shared", "namespace": "shop"}},
            "status": status,
        }
    )
    asyncio.run(place.removal.advance(a_deleted_model("Delete", uri, FINALIZER)))
    assert bool(keys_of(store)) is waits


def test_its_jobs_end_before_its_objects_go(tmp_path: Path):
    uri, store = in_a_store(tmp_path, "agnostic/HEAD")
    place = Place()
    owner = {"ownerReferences": [{"kind": "HeavyModel", "name": "shared", "uid": "m1", "controller": True,
                                  "apiVersion": "longtail.dev/v1alpha1"}]}  # fmt: skip
    job = {
        "kind": "Job",
        "metadata": {"name": "initialize", "namespace": "shop", "uid": "j1", "resourceVersion": "1", **owner},
    }
    place.snapshot.observe(job)
    model = a_deleted_model("Delete", uri, FINALIZER)
    assert asyncio.run(place.removal.advance(model)) is not None
    assert place.api.deleted == [Key("Job", "shop", "initialize")]
    assert "agnostic/HEAD" in keys_of(store)
    assert "initialize" in place.api.statuses[-1]["conditions"][0]["message"]
    place.snapshot.forget(job)
    assert asyncio.run(place.removal.advance(model)) is None
    assert keys_of(store) == []


SPRING = "shop.spring.01234567"
OWN = [
    f"data/{SPRING}/d1/part-support-00000.parquet",
    f"data/{SPRING}/d1/manifest.json",
    f"runs/{SPRING}/1/adapt/heavy.safetensors",
    f"models/{SPRING}/v1/model.onnx",
]
OTHERS = ["data/shop.autumn.76543210/d1/manifest.json", f"runs/{SPRING}0/1/adapt/result.json"]


def a_model(uri: str) -> Json:
    model = a_deleted_model("Retain", uri)
    del model["metadata"]["deletionTimestamp"]
    return model


def a_deleted_scenario(policy: str = "Delete") -> Json:
    return {
        "apiVersion": "longtail.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {
            "uid": "01234567-89",
            "name": "spring",
            "namespace": "shop",
            "resourceVersion": "1",
            "deletionTimestamp": NOON.isoformat(),
            "finalizers": [FINALIZER],
        },
        "spec": {"heavyModelRef": {"name": "shared"}, "deletionPolicy": policy},
    }


def a_child(kind: str, name: str, owner: Json, **parts: Any) -> Json:
    reference = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "resourceVersion": "1"}
    reference |= {"controller": True, "apiVersion": "longtail.dev/v1alpha1"}
    return {"kind": kind, "metadata": {**metadata, "ownerReferences": [reference]}, **parts}


def test_a_scenarios_own_objects_go_and_nobody_elses(tmp_path: Path):
    uri, store = in_a_store(tmp_path, *OWN, *OTHERS)
    place = Place()
    place.snapshot.observe(a_model(uri))
    assert asyncio.run(place.removal.advance(a_deleted_scenario())) is None
    assert set(keys_of(store)) == {*OTHERS, "owners/000000000001.json"}
    assert place.api.finalizers == [[]]


def test_a_scenario_that_is_to_be_retained_leaves_everything(tmp_path: Path):
    uri, store = in_a_store(tmp_path, *OWN)
    place = Place()
    place.snapshot.observe(a_model(uri))
    asyncio.run(place.removal.advance(a_deleted_scenario("Retain")))
    assert set(OWN) <= set(keys_of(store))
    assert place.api.finalizers == [[]]


def test_settled_feedback_goes_stays_settled_and_what_waits_is_left_to_be_folded(tmp_path: Path):
    uri, store = in_a_store(tmp_path)
    commit_generation(store, parameters(0))
    for run in (1, 2):
        write_feedback(
            store, dict(dense_gradients(run)), scenario=SPRING, run=run, base_version=1, generation=1, examples=1,
            loss=0.1,
        )  # fmt: skip
    fold(store, [(SPRING, 1)], PARAMETERS, orphans_seconds=600)
    place = Place()
    place.snapshot.observe(a_model(uri))
    asyncio.run(place.removal.advance(a_deleted_scenario()))
    assert [found.key for found in store.list(FEEDBACK_PREFIX)] == [feedback_key(SPRING, 2)]
    assert [item.run for item in pending(store)] == [2]
    _, settled = read_head(store, SettledLog(store), [SPRING])
    assert settled.holds(SPRING, 1)


def test_what_works_with_a_scenarios_objects_or_serves_them_ends_first(tmp_path: Path):
    uri, store = in_a_store(tmp_path, *OWN)
    place = Place()
    scenario = a_deleted_scenario()
    search = a_child("LightModelSearch", "spring-ab", scenario, spec={"targetRef": {"name": "spring"}})
    children = [
        a_child("Job", "spring-adapt", scenario),
        a_child("Deployment", "spring-v1", scenario),
        a_child("Job", "spring-ab-search", search),
    ]
    for item in (a_model(uri), search, *children):
        place.snapshot.observe(item)
    assert asyncio.run(place.removal.advance(scenario)) is not None
    assert set(place.api.deleted) == {key_of(item) for item in children}
    assert "spring-v1" in place.api.statuses[-1]["conditions"][0]["message"]
    assert set(OWN) <= set(keys_of(store))
    for item in children:
        place.snapshot.forget(item)
    assert asyncio.run(place.removal.advance(scenario)) is None
    assert not set(OWN) & set(keys_of(store))


def test_a_persons_search_and_a_step_of_the_model_that_read_a_scenarios_objects_are_waited_for(tmp_path: Path):
    uri, store = in_a_store(tmp_path, *OWN)
    model, scenario = a_model(uri), a_deleted_scenario()
    search = {**a_child("LightModelSearch", "mine", scenario), "spec": {"targetRef": {"name": "spring"}}}
    del search["metadata"]["ownerReferences"]
    job = a_child("Job", "mine-search", search)
    config = {"config.json": f'{{"manifests":["{OWN[1]}"]}}'}
    told = a_child("ConfigMap", "meta-train", model, data=config, immutable=True)
    place = Place()
    for item in (model, search, job, told):
        place.snapshot.observe(item)
    for item in (job, told):
        assert asyncio.run(place.removal.advance(scenario)) is not None
        assert place.api.deleted == []
        place.snapshot.forget(item)
    assert asyncio.run(place.removal.advance(scenario)) is None
    assert not set(OWN) & set(keys_of(store))


def test_a_model_that_waits_for_its_scenarios_is_not_waited_for_by_them(tmp_path: Path):
    uri, _ = in_a_store(tmp_path, *OWN)
    model = a_deleted_model("Delete", uri, FINALIZER)
    config = {"config.json": f'{{"manifests":["{OWN[1]}"]}}'}
    told = a_child("ConfigMap", "meta-train", model, data=config, immutable=True)
    place = Place()
    for item in (model, told):
        place.snapshot.observe(item)
    assert asyncio.run(place.removal.advance(a_deleted_scenario())) is None


def test_a_scenario_whose_model_is_gone_goes_and_says_that_its_objects_stay():
    place = Place()
    assert asyncio.run(place.removal.advance(a_deleted_scenario())) is None
    assert place.api.finalizers == [[]]
    assert [note.reason for note in place.notes] == ["StoreCleanupGivenUp"]


def test_a_models_objects_stay_while_a_deployment_without_a_scenario_serves_from_them(tmp_path: Path):
    uri, store = in_a_store(tmp_path, "models/shop.spring.01234567/v1/model.onnx")
    orphan = a_child("Deployment", "spring-v1", a_deleted_scenario())
    del orphan["metadata"]["ownerReferences"]
    orphan["spec"] = {"template": {"spec": {"containers": [{"args": ["serve", f"--store-uri={uri}"]}]}}}
    place = Place()
    place.snapshot.observe(orphan)
    model = a_deleted_model("Delete", uri, FINALIZER)
    assert asyncio.run(place.removal.advance(model)) is not None
    assert "spring-v1" in place.api.statuses[-1]["conditions"][0]["message"]
    assert place.api.deleted == []
    place.snapshot.forget(orphan)
    assert asyncio.run(place.removal.advance(model)) is None
    assert keys_of(store) == []


def test_a_store_that_takes_its_time_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    uri, _ = in_a_store(tmp_path, "runs/shop.spring.01234567/1/prepare/result.json")
    answers = threading.Event()
    monkeypatch.setattr(FileStore, "delete", lambda *_: answers.wait(10))
    place = Place()

    async def story() -> list[float | None]:
        model = a_deleted_model("Delete", uri, FINALIZER)
        first = await place.removal.advance(model)
        answers.set()
        while (last := await place.removal.advance(model)) is not None:
            await asyncio.sleep(0.01)
        return [first, last]

    first, last = asyncio.run(story())
    assert (first is None, last) == (False, None)
