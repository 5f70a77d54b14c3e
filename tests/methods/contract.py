"""What every method must keep, whatever it does: the contract suite. A method's own test file is its case and a class.

class TestMyMethod(MethodContract):
    case = MyCase()
"""

import errno
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import polars
import pytest
import torch

from longtail_api.run_config import ExitCode, PrepareConfig, StepConfig, StoreAddress
from longtail_api.store_layout import model_card_key, model_key, result_key
from longtail_api.store_objects import ModelCard, StepResult, Termination
from longtail_store import ObjectMissing, Store, open_store, read_object
from longtail_trainer.export import check_parity
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.running import command
from longtail_trainer.running.errors import BudgetUnreachable
from longtail_trainer.running.step import step_name
from longtail_trainer.running.steps import Method, steps_of
from tests.methods.tables import NEGATED, SCENARIOS, SCHEMA, write_tables
from tests.trainer.tiny import prepare_config

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Place:
    """Tables, and the store that a method's steps work in."""

    tables: Path
    folder: Path

    @property
    def address(self) -> StoreAddress:
        return StoreAddress(uri=self.folder.as_uri())

    @property
    def store(self) -> Store:
        return open_store(self.address)

    def owner(self, number: int) -> str:
        """The key of one of the tables' scenarios."""
        return f"shop.s{number}.0000000{number}"

    def base(self, owner: str, identity: str, run: int = 1) -> dict[str, Any]:
        """What the config of every step holds."""
        return {"store": self.address, "owner": owner, "identity": identity, "run": run, "seed": 3, "threads": 1}

    def prepares(self, count: int = SCENARIOS) -> list[PrepareConfig]:
        """`prepare` of the first scenarios."""
        return [
            prepare_config(
                self.tables,
                self.address,
                SCHEMA,
                source_key=f"s{number}",
                owner=self.owner(number),
                identity=f"prepare-{number}",
            )
            for number in range(count)
        ]


class MethodCase(Protocol):
    """A method on tiny data, from raw tables to one served model."""

    method: Method
    max_flops: int
    """Budget of the served model; steps, or their members, that take `max_flops` are given it."""
    version: str
    """Of the served model."""

    def owner(self, place: Place) -> str:
        """Whose model is served."""
        ...

    def configs(self, place: Place) -> list[StepConfig]:
        """Every step of the method, in order, `prepare` first."""
        ...

    def served(self, store: Store, card: ModelCard) -> ServedModel:
        """The model that was trained, with the weights that the steps left."""
        ...


class Killed(BaseException):
    """The process is gone; nothing catches this."""


class DiesBefore:
    """A store whose user is gone before a write; so many are let through first."""

    def __init__(self, store: Store, writes: int) -> None:
        self._store = store
        self._left = writes

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        self._spend()
        return self._store.put_if_absent(key, data)

    def put_advisory(self, key: str, data: bytes) -> None:
        self._spend()
        self._store.put_advisory(key, data)

    def _spend(self) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class FailsWithin:
    """A store by which something happens to the step itself: at its first question after the one for its result, of
    which it learns that there is none yet."""

    def __init__(self, store: Store, happen: Callable[[], object]) -> None:
        self._store = store
        self._happen = happen
        self._asked = False

    def get(self, key: str) -> bytes:
        if not self._asked:
            self._asked = True
            raise ObjectMissing(key)
        self._happen()
        return self._store.get(key)

    def __getattr__(self, name: str) -> Any:
        self._happen()
        return getattr(self._store, name)


def of_a_library() -> None:
    raise polars.exceptions.PanicException("called `Result::unwrap()` on an `Err` value")


def of_the_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


MISHAPS: dict[str, tuple[Callable[[], object], ExitCode, str]] = {
    "an exception": (lambda: 1 // 0, ExitCode.BUG, "Bug"),
    "a panic": (of_a_library, ExitCode.DATA_INVALID, "LibraryPanicked"),
    "no memory for numpy": (lambda: np.empty(1 << 50, np.uint8), ExitCode.RETRYABLE, "OutOfMemory"),
    "no memory for torch": (lambda: torch.empty(1 << 50, dtype=torch.uint8), ExitCode.RETRYABLE, "OutOfMemory"),
    "a full disk": (of_the_disk, ExitCode.RETRYABLE, "DiskFull"),
    "the keyboard": (lambda: signal.raise_signal(signal.SIGINT), ExitCode.TERMINATED, "Terminated"),
    "a library's own exit": (lambda: sys.exit(0), ExitCode.BUG, "Bug"),
}
"""What may happen within a step, and how the step must end: exit code and reason."""


def carry_out(case: MethodCase, configs: list[StepConfig]) -> None:
    """All steps in order, as the command runs them."""
    steps = steps_of([case.method])
    for config in configs:
        command.run(steps[step_name(config)], config)


def card_of(case: MethodCase, place: Place) -> ModelCard:
    return read_object(place.store, model_card_key(case.owner(place), case.version), ModelCard)


def come_to(case: MethodCase, place: Place) -> dict[str, Any]:
    """All that the steps came to, without what a clock says."""
    said: dict[str, Any] = {}
    for config in case.configs(place):
        key = result_key(config.owner, config.run, step_name(config))
        result = read_object(place.store, key, StepResult)
        metrics = {name: one for name, one in result.metrics.items() if name != "latency"}
        said[key] = (result.outputs, metrics, result.flops)
    return said | {"model": place.store.get(model_key(case.owner(place), case.version))}


def with_budget(config: StepConfig, max_flops: int) -> StepConfig:
    """The config with another budget, and its members' configs, where the step works for many."""
    values = dict(config)
    if "max_flops" in values:
        values["max_flops"] = max_flops
    if "members" in values:
        values["members"] = [one.model_copy(update={"max_flops": max_flops}) for one in values["members"]]
    return config.model_copy(update=values)


def figures(said: Mapping[str, Any], name: str) -> dict[str, float]:
    """A figure of every result, by where it stands."""
    return {
        f"{key} {split} {metric}": one.value
        for key, parts in said.items()
        if isinstance(parts, tuple)
        for split, metrics in parts[1].items()
        for metric, one in metrics.items()
        if metric == name and one.value is not None
    }


@pytest.mark.slow
@pytest.mark.usefixtures("traced_once")
class MethodContract:
    """The suite. `case` is the method's."""

    case: ClassVar[MethodCase]

    @pytest.fixture(scope="class")
    def whole(self, tmp_path_factory: pytest.TempPathFactory) -> Place:
        """An undisturbed run."""
        return self._carried_out(tmp_path_factory.mktemp("whole"))

    def _carried_out(self, folder: Path, *, negated: bool = False) -> Place:
        write_tables(folder / "tables", negated=negated)
        place = Place(folder / "tables", folder / "store")
        carry_out(self.case, self.case.configs(place))
        return place

    def test_it_serves_a_model_with_figures_of_every_label(self, whole: Place):
        card = card_of(self.case, whole)
        assert card.labels == [label.name for label in SCHEMA.labels]
        assert [output.name for output in card.outputs] == card.labels
        assert {"auc", *(f"{name}.auc" for name in NEGATED)} <= set(card.metrics["test"])

    def test_no_test_row_enters_anything(self, whole: Place, tmp_path: Path):
        """With each test label the other way round, the same model is served, and each test AUC is 1 minus itself."""
        negated = self._carried_out(tmp_path, negated=True)
        ours, theirs = come_to(self.case, whole), come_to(self.case, negated)
        assert theirs["model"] == ours["model"]
        for label in NEGATED:
            before, after = figures(ours, f"{label}.auc"), figures(theirs, f"{label}.auc")
            assert before.keys() == after.keys()
            of_test = {name for name in before if "test" in name.split()[1].lower()}
            assert of_test
            for name, value in before.items():
                assert after[name] == pytest.approx(1 - value if name in of_test else value, abs=1e-12), name
        assert figures(theirs, "auc") == figures(ours, "auc")

    def test_killed_before_every_write_it_ends_as_an_undisturbed_run(
        self, whole: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """Each step dies before its first write, its next attempt before its second one, and so on."""
        place = Place(whole.tables, tmp_path / "store")
        steps = steps_of([self.case.method])
        deaths = 0
        for config in self.case.configs(place):
            for writes in range(1000):
                dying = DiesBefore(open_store(config.store), writes)
                monkeypatch.setattr(command, "open_store", lambda address, dying=dying: dying)
                try:
                    command.run(steps[step_name(config)], config)
                    break
                except Killed:
                    deaths += 1
        assert deaths > len(self.case.configs(place))
        assert come_to(self.case, place) == come_to(self.case, whole)

    def test_whatever_happens_within_a_step_its_termination_message_says_so(
        self, whole: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        steps = steps_of([self.case.method])
        message = tmp_path / "termination-log"
        monkeypatch.setenv("TERMINATION_MESSAGE_PATH", str(message))
        for config in self.case.configs(whole):
            name = step_name(config)
            file = tmp_path / "config.json"
            file.write_text(config.model_dump_json(by_alias=True))
            for mishap, (happen, exit_code, reason) in MISHAPS.items():
                store = FailsWithin(whole.store, happen)
                monkeypatch.setattr(command, "open_store", lambda address, store=store: store)
                message.write_bytes(b"")
                assert command.command([name, "--config", str(file)], steps) == exit_code, (name, mishap)
                said = Termination.model_validate_json(message.read_bytes())
                assert (said.status, said.reason) == ("Failed", reason), (name, mishap)
                assert said.message

    def test_the_served_model_keeps_its_budget(self, whole: Place):
        card = card_of(self.case, whole)
        assert card.flops <= self.case.max_flops
        assert card.flops == self.case.served(whole.store, card).flops()

    def test_a_budget_that_cannot_be_kept_is_told_and_nothing_is_served(self, whole: Place, tmp_path: Path):
        place = Place(whole.tables, tmp_path / "store")
        configs = [with_budget(config, 1) for config in self.case.configs(place)]
        with pytest.raises(BudgetUnreachable, match=r"maxFlops"):
            carry_out(self.case, configs)
        assert not place.store.exists(model_card_key(self.case.owner(place), self.case.version))

    def test_what_is_served_answers_as_what_was_trained(self, whole: Place):
        card = card_of(self.case, whole)
        content = whole.store.get(model_key(card.scenario, card.version))
        check_parity(self.case.served(whole.store, card), content, TOLERANCE)
