"""A run number is given out once, whatever became of the status that remembered it."""

import asyncio
from pathlib import Path

import pytest

from longtail_api.conditions import Reason
from longtail_api.store_layout import manifest_key, result_key
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.run_numbers import last_in_store, read_last_in_store
from longtail_store.file_store import FileStore
from tests.store.small_model import commit_generation, parameters
from tests.unit.operator_builders import MODEL_KEY, TEMPORARY, Story, a_heavy_model, a_serving_scenario

SPRING = "shop.spring.01234567"


def test_a_new_scenario_starts_with_run_1():
    story = Story()
    story.settle()
    assert story.status["run"]["number"] == 1


@pytest.mark.parametrize(
    ("keys", "settled", "last"),
    [
        ([], [], 0),
        ([result_key(SPRING, 2, "prepare"), result_key(SPRING, 10, "adapt")], [], 10),
        ([manifest_key(SPRING, "d7")], [], 7),
        ([result_key(SPRING, 2, "prepare")], [(1, 3), (5, 6)], 6),
        ([result_key("shop.other.01234567", 9, "prepare"), f"runs/{SPRING}/notes.txt", f"data/{SPRING}/d/x"], [], 0),
    ],
)
def test_the_last_run_is_the_highest_that_left_anything(keys: list[str], settled: list[tuple[int, int]], last: int):
    assert last_in_store(SPRING, keys, settled) == last


def test_the_store_is_read_with_its_ledger(tmp_path: Path):
    store = FileStore(tmp_path)
    assert read_last_in_store(store, SPRING) == 0
    commit_generation(store, parameters(0))
    store.put_if_absent(manifest_key(SPRING, "d4"), b"{}")
    assert read_last_in_store(store, SPRING) == 4


def test_a_lost_status_is_followed_by_a_run_above_all_that_the_store_knows():
    story = a_serving_scenario().serves()
    story.status, story.children, story.last_run = {}, {}, 5
    story.settle()
    assert story.status["run"]["number"] == 6


def test_a_run_whose_job_exists_counts_although_it_has_written_nothing_yet():
    story = a_serving_scenario()
    story.settle()
    story.annotate("again").settle()
    story.status, story.last_run = {}, 1
    story.settle()
    assert story.status["run"]["number"] == 3


def test_no_run_starts_before_the_store_has_said_which_ones_it_knows():
    story = a_serving_scenario()
    story.last_run = Trouble(Reason.STORE_UNREACHABLE, "no answer")
    plan = story.settle()
    assert "run" not in plan.status
    assert story.condition("Ready") == ("False", "StoreUnreachable")
    assert not story.children
    assert plan.requeue_after
    story.last_run = 0
    story.settle()
    assert story.status["run"]["number"] == 1


def test_a_status_that_names_its_run_never_waits_for_the_store():
    story = a_serving_scenario().serves()
    story.last_run = Trouble(Reason.STORE_UNREACHABLE, "no answer")
    story.annotate("again").settle()
    assert story.status["run"]["number"] == 2


class NoSecrets:
    async def get(self, key: object) -> None:
        return None


def test_a_store_that_cannot_be_asked_is_a_trouble_and_no_number(tmp_path: Path):
    async def story() -> tuple[object, object]:
        hub = StoreHub(NoSecrets(), allowed_stores=(TEMPORARY,), grace_seconds=60)  # pyright: ignore[reportArgumentType]
        uri = f"file://{tmp_path / 'store'}"
        (tmp_path / "store").mkdir()
        open_to_all = a_heavy_model(storage={"uri": uri})
        locked = a_heavy_model(storage={"uri": "s3://bucket/x", "credentialsSecretRef": {"name": "missing"}})
        return (
            await hub.last_run(MODEL_KEY, open_to_all, SPRING, MODEL_KEY),
            await hub.last_run(MODEL_KEY, locked, SPRING, MODEL_KEY),
        )

    known, refused = asyncio.run(story())
    assert known == 0
    assert isinstance(refused, Trouble)
    assert refused.reason == Reason.CREDENTIALS_MISSING
