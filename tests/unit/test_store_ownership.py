"""A store belongs to one HeavyModel."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from longtail_api import store_layout
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import PREFIXES, owner_key, stores_around
from longtail_api.store_objects import StoreOwner
from longtail_store import AccessDenied, Store, ownership
from longtail_store.file_store import FileStore
from longtail_store.ownership import claim, owner_around, owner_of

SPRING = StoreOwner(namespace="shop", name="spring", uid="1")
SUMMER = StoreOwner(namespace="shop", name="summer", uid="2")


@pytest.fixture
def store(tmp_path) -> Store:
    return FileStore(tmp_path)


@pytest.mark.parametrize(
    ("uri", "around"),
    [
        ("s3://bucket/team/ads", []),
        ("s3://bucket/data", ["s3://bucket"]),
        ("s3://bucket/team/models/ads/", ["s3://bucket/team"]),
        ("s3://bucket/team/data/x/agnostic/y", ["s3://bucket/team/data/x", "s3://bucket/team"]),
        ("file:///stores/team/runs", ["file:///stores/team"]),
        ("file:///data/ads", []),
    ],
)
def test_a_store_around_an_address_would_keep_it_in_a_folder_of_its_own(uri: str, around: list[str]):
    assert stores_around(uri) == around


def test_who_owns_the_store_around_an_address_is_found(tmp_path):
    outer = StoreAddress(uri=f"{tmp_path.as_uri()}/team")
    inner = StoreAddress(uri=f"{outer.uri}/data/ads")
    assert owner_around(inner, None) is None
    claim(FileStore(tmp_path / "team"), SPRING)
    assert owner_around(inner, None) == (outer.uri, SPRING)
    assert owner_around(StoreAddress(uri=f"{outer.uri}/ads"), None) is None


def test_who_may_not_look_around_an_address_finds_nobody(tmp_path, monkeypatch):
    def refuse(*_: object) -> StoreOwner:
        raise AccessDenied("not with these keys")

    claim(FileStore(tmp_path), SPRING)
    monkeypatch.setattr(ownership, "owner_of", refuse)
    assert owner_around(StoreAddress(uri=f"{tmp_path.as_uri()}/data"), None) is None


def test_who_claims_first_owns_it_for_good(store: Store):
    assert owner_of(store) is None
    assert claim(store, SPRING) == SPRING
    assert claim(store, SUMMER) == SPRING
    assert claim(store, SPRING) == SPRING
    assert owner_of(store) == SPRING
    assert [found.key for found in store.list("")] == [owner_key(1)]


def test_a_store_that_had_no_owner_yet_goes_to_who_claims_first(store: Store):
    store.put_if_absent("agnostic/versions/000000000001.json", b"{}")
    assert claim(store, SUMMER) == SUMMER


def test_a_model_made_anew_is_another_one(store: Store):
    claim(store, SPRING)
    assert claim(store, SPRING.model_copy(update={"uid": "3"})) == SPRING


def test_a_person_may_give_it_to_another_and_back(store: Store):
    claim(store, SPRING)
    assert claim(store, SUMMER, adopted=SPRING.uid) == SUMMER
    assert claim(store, SPRING) == SUMMER
    assert claim(store, SUMMER, adopted=SPRING.uid) == SUMMER, "an annotation that stays changes nothing"
    assert claim(store, SPRING, adopted=SUMMER.uid) == SPRING


def test_who_is_named_wrongly_loses_nothing(store: Store):
    claim(store, SPRING)
    assert claim(store, SUMMER, adopted="another") == SPRING


def test_of_many_that_claim_at_once_one_gets_it_and_all_learn_who(store: Store):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda uid: claim(store, SPRING.model_copy(update={"uid": str(uid)})), range(32)))
    assert len({one.uid for one in found}) == 1


class LosesTheFirstResponse(FileStore):
    """The write happens, and looks as if it hadn't."""

    def put_if_absent(self, key, data):
        super().put_if_absent(key, data)
        return False


def test_a_claim_whose_response_was_lost_is_found_again(tmp_path):
    assert claim(LosesTheFirstResponse(tmp_path), SPRING) == SPRING


def test_every_key_of_the_layout_is_ours():
    scenario = store_layout.scenario_key("shop", "spring", "5bd2ac1e-77a0")
    made = [
        store_layout.owner_key(1), store_layout.features_key("0"), store_layout.version_key(1),
        store_layout.checkpoint_key(1, "n"), store_layout.settled_key("1-2", "n"), store_layout.HEAD_KEY,
        store_layout.manifest_key(scenario, "d1"), store_layout.part_key(scenario, "d1", "test", 0),
        store_layout.statistics_key(scenario, "d1"), store_layout.requests_key(scenario, "d1"),
        store_layout.feedback_key(scenario, 1), store_layout.result_key(scenario, 1, "adapt"),
        store_layout.result_key(store_layout.AGNOSTIC, 1, "initialize"), store_layout.architecture_key(scenario, 1),
        store_layout.progress_key(store_layout.step_prefix(scenario, 1, "search")),
        store_layout.model_key(scenario, "v1"), store_layout.model_card_key(scenario, "v1"),
    ]  # fmt: skip
    assert [key for key in made if not store_layout.is_ours(key)] == []
    assert {prefix for prefix in PREFIXES if any(key.startswith(prefix) for key in made)} == {*PREFIXES} - {"probe/"}
