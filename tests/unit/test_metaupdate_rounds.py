"""Synchronous mode: rounds of runs from one version, folded together (ALT Eq. 3), on a store."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.store_layout import scenario_key
from longtail_api.store_objects import Version
from longtail_operator.kubernetes.objects import Json
from longtail_operator.meta_update.fold import fold
from longtail_operator.meta_update.folding import feedback_of, runs_ahead_of_feedback
from longtail_operator.meta_update.ledger import pending
from longtail_operator.meta_update.rules import due, may_start
from longtail_store import Chain
from longtail_store.feedback import write_feedback
from longtail_store.file_store import FileStore
from tests.store.small_model import MEMORY, PARAMETERS, checkpoint_of, commit_generation, dense_gradients, parameters
from tests.unit.operator_builders import Story, a_heavy_model, initialized

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
HERE = {"shop"}


def scenario(
    name: str = "a",
    run: int = 1,
    base: int | None = 1,
    adapted: bool = False,
    outcome: str | None = None,
    **spec: object,
) -> Json:
    steps = [{"name": "adapt", "identity": "i", "result": "r"}] if adapted else []
    status = {"number": run, "steps": steps} | ({"baseVersion": base} if base else {})
    return {
        "kind": "Scenario",
        "metadata": {"namespace": "shop", "name": name, "uid": "u"},
        "spec": spec,
        "status": {"run": status | ({"outcome": outcome} if outcome else {})},
    }


def test_a_round_waits_for_runs_that_started_from_a_version_and_for_no_others() -> None:
    assert runs_ahead_of_feedback([scenario()], "adapt", HERE) == 1
    assert runs_ahead_of_feedback([scenario(base=None)], "adapt", HERE) == 0, "it will start from the next version"
    assert runs_ahead_of_feedback([scenario(adapted=True)], "adapt", HERE) == 0, "it has given its feedback"
    assert runs_ahead_of_feedback([scenario(outcome="Failed")], "adapt", HERE) == 0
    assert runs_ahead_of_feedback([scenario(suspend=True)], "adapt", HERE) == 0
    assert runs_ahead_of_feedback([scenario()], "adapt", {"elsewhere"}) == 0, (
        "it is no longer allowed to refer to the model"
    )
    leaving = scenario()
    leaving["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"
    assert runs_ahead_of_feedback([leaving], "adapt", HERE) == 0


def prepared(mode: str, waiting: int) -> Story:
    """A serving Scenario whose data is prepared, of a HeavyModel where feedback waits."""
    heavy_model = initialized(a_heavy_model(metaUpdate={"mode": mode}), version=7)
    heavy_model.status.feedback.pending = waiting
    story = Story(heavy_model, serving={})
    story.settle()
    story.succeeds("prepare").settle()
    return story


def test_who_comes_while_a_round_ends_starts_from_the_version_that_it_makes() -> None:
    story = prepared("Synchronous", waiting=1)
    assert "baseVersion" not in story.status["run"]
    assert story.status["run"].get("step") is None, "it holds no place among maxConcurrentRuns"
    assert story.heavy_model.status.version is not None
    story.heavy_model.status.feedback.pending = 0
    story.heavy_model.status.version.number = 8
    story.settle()
    assert story.status["run"]["baseVersion"] == 8


def test_nobody_waits_where_no_feedback_does_or_where_folding_is_asynchronous() -> None:
    assert prepared("Synchronous", waiting=0).status["run"]["baseVersion"] == 7
    assert prepared("Async", waiting=3).status["run"]["baseVersion"] == 7


class Model:
    """A HeavyModel in synchronous mode: runs start, end and fail; the operator folds when the rules say so."""

    def __init__(self, folder: Path) -> None:
        self.store = FileStore(folder)
        commit_generation(self.store, parameters(0))
        self.scenarios: dict[str, Json] = {}
        self.waiting: list[str] = []
        """Runs that may not start yet."""

    def head(self) -> Version:
        head = Chain(self.store).head()
        assert head is not None
        return head

    def arrives(self) -> None:
        self.waiting.append(f"s{len(self.scenarios) + len(self.waiting)}")
        self.operator_looks()

    def working(self) -> list[str]:
        return [
            name
            for name, one in self.scenarios.items()
            if feedback_of(one, "adapt", NOON) is None and "outcome" not in one["status"]["run"]
        ]

    def ends(self, name: str) -> None:
        base = self.scenarios[name]["status"]["run"]["baseVersion"]
        write_feedback(
            self.store, dense_gradients(int(name[1:])), scenario=scenario_key("shop", name, "u"), run=1,
            base_version=base, generation=1, examples=1, loss=0.5,
        )  # fmt: skip
        self.scenarios[name] = scenario(name, base=base, adapted=True)
        self.operator_looks()

    def fails(self, name: str) -> None:
        self.scenarios[name]["status"]["run"]["outcome"] = "Failed"
        self.operator_looks()

    def is_suspended(self, name: str) -> None:
        self.scenarios[name]["spec"]["suspend"] = True
        self.operator_looks()

    def operator_looks(self) -> None:
        found = pending(self.store)
        decision = due(
            found, mode="Synchronous", running=runs_ahead_of_feedback(list(self.scenarios.values()), "adapt", HERE),
            buffer_size=1, flush_interval=timedelta(0), longest_round=timedelta(days=1), now=NOON,
        )  # fmt: skip
        if decision.batch:
            runs = [(item.scenario, item.run) for item in decision.batch]
            fold(self.store, runs, PARAMETERS, orphans_seconds=600)
        if may_start(mode="Synchronous", pending=len(pending(self.store))):
            for name in self.waiting:
                self.scenarios[name] = scenario(name, base=self.head().number)
            self.waiting = []


def in_a_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=MEMORY)


def test_a_round_is_one_step_by_the_sum_of_its_gradients() -> None:
    with in_a_folder() as folder:
        model = Model(Path(folder, "store"))
        for _ in range(3):
            model.arrives()
        model.ends("s0")
        model.arrives()
        model.ends("s1")
        assert model.head().number == 1, "s2 is still at work"
        assert model.waiting == ["s3"]
        model.ends("s2")
        version = model.head()
        assert (version.number, [item.staleness for item in version.folded]) == (2, [0, 0, 0])
        total = sum(item.clip_scale * dense_gradients(number)["weight"] for number, item in enumerate(version.folded))
        np.testing.assert_allclose(
            checkpoint_of(model.store, version)["weight"],
            parameters(0)["weight"] - PARAMETERS.learning_rate * total,
            rtol=1e-5,
        )  # fmt: skip
        assert model.scenarios["s3"]["status"]["run"]["baseVersion"] == 2


def test_a_round_ends_without_a_run_that_fails() -> None:
    with in_a_folder() as folder:
        model = Model(Path(folder, "store"))
        model.arrives()
        model.arrives()
        model.ends("s0")
        model.fails("s1")
        assert [item.scenario for item in model.head().folded] == [scenario_key("shop", "s0", "u")]


def test_one_that_is_suspended_and_goes_on_later_counts_as_stale() -> None:
    with in_a_folder() as folder:
        model = Model(Path(folder, "store"))
        model.arrives()
        model.arrives()
        model.ends("s0")
        model.is_suspended("s1")
        assert model.head().number == 2
        model.scenarios["s1"]["spec"]["suspend"] = False
        model.ends("s1")
        assert [item.staleness for item in model.head().folded] == [1]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["arrives", "ends", "ends", "fails"]), st.integers(0, 9)), max_size=14))
def test_however_runs_come_and_go_each_version_is_one_whole_round(happenings: list[tuple[str, int]]) -> None:
    with in_a_folder() as folder:
        model = Model(Path(folder, "store"))
        for what, choice in happenings:
            working = model.working()
            if what == "arrives":
                model.arrives()
            elif working:
                getattr(model, what)(working[choice % len(working)])
        while working := model.working():
            model.ends(working[0])
        assert not model.waiting
        assert not pending(model.store)
        chain = Chain(model.store)
        for number in range(2, model.head().number + 1):
            assert {item.base_version for item in chain.version(number).folded} == {number - 1}
