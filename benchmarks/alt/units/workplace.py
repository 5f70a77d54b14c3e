"""Where a unit works: the data set, the cache, its own store, and the trainer's steps run in this process."""

import contextlib
import hashlib
import re
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.alt.protocol import Protocol
from benchmarks.alt.rows import Outcome, Unit
from benchmarks.comparison.cache import Cache
from benchmarks.comparison.dataset import Dataset
from benchmarks.comparison.stopping import STOPPING, Interrupted
from longtail_api.run_config import StepConfig, StoreAddress
from longtail_api.store_objects import Manifest, StepResult
from longtail_store import Store, open_store
from longtail_trainer.data.loading import load_manifest
from longtail_trainer.methods import run
from longtail_trainer.running.errors import Terminated
from longtail_trainer.running.step import step_name

AltCache = Cache[Outcome, Protocol]
COPIED = ("data/", "agnostic/", "runs/")


@dataclass(frozen=True)
class Workplace:
    """What every unit is given beside itself."""

    dataset: Dataset
    cache: AltCache

    @property
    def protocol(self) -> Protocol:
        return self.cache.protocol

    def address(self, unit: Unit) -> StoreAddress:
        return StoreAddress(uri=self.cache.store(unit).resolve().as_uri())

    def store(self, unit: Unit) -> Store:
        return open_store(self.address(unit))

    def copied_store(self, source: Unit, target: Unit) -> Store:
        """The store of `target`, with all that `source` left in its own."""
        theirs, ours = self.store(source), self.store(target)
        for prefix in COPIED:
            for item in theirs.list(prefix):
                if not ours.exists(item.key):
                    ours.put_if_absent(item.key, theirs.get(item.key))
        return ours

    def carry_out(self, unit: Unit, config: StepConfig) -> StepResult:
        """One trainer step, here; a step that an earlier attempt finished is not run again.

        Raises `Interrupted` where SIGTERM ended the step: the next attempt goes on from what it saved.
        """
        STOPPING.raise_if_requested()
        try:
            with quiet(self.cache.log(unit)):
                return run(step_name(config), config)
        except Terminated as stopped:
            raise Interrupted from stopped


@dataclass(frozen=True)
class Prepared:
    """The data of one repetition: manifest keys by scenario, seconds that each took, and who can't be learned."""

    unit: Unit
    manifests: dict[str, str]
    seconds: dict[str, float]
    skipped: dict[str, str]

    @classmethod
    def of(cls, workplace: Workplace, seed: int) -> "Prepared":
        unit = Unit(kind="prepare", seed=seed)
        return cls(unit, **workplace.cache.done(unit).outputs)

    def manifest(self, workplace: Workplace, scenario: str) -> Manifest:
        return load_manifest(workplace.store(self.unit), self.manifests[scenario])


def identity(config: dict[str, object]) -> str:
    """Hash of a step's inputs."""
    return hashlib.sha256(repr(sorted(config.items())).encode()).hexdigest()[:16]


def owner(scenario: str) -> str:
    """The scenario's key in the store, whatever characters its name has."""
    slug = re.sub(r"[^a-z0-9]+", "-", scenario.lower()).strip("-")[:40] or "scenario"
    return f"benchmark.{slug}.{hashlib.sha256(scenario.encode()).hexdigest()[:8]}"


@contextlib.contextmanager
def quiet(log: Path) -> Generator[None]:
    """What is printed meanwhile goes to the end of `log`."""
    with log.open("a") as lines, contextlib.redirect_stdout(lines), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
