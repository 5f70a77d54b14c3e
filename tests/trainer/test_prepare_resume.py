"""Killed anywhere, `prepare` run again ends with the very data version it would have made at once."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from longtail_api.run_config import PrepareConfig
from longtail_api.store_layout import part_key
from longtail_api.store_objects import Manifest
from longtail_store import Store, StoreUnreachable, open_store, read_object
from longtail_trainer.data.prepare.parts import write_part
from longtail_trainer.data.prepare.publication import publish_part
from longtail_trainer.methods import STEPS
from longtail_trainer.running.errors import Retryable
from longtail_trainer.running.step import carry_out
from tests.trainer.contexts import context_of
from tests.trainer.faulty_stores import FailsAfter, LosesResponses
from tests.trainer.tiny import prepare_config, write_tables

ROOT = Path(__file__).parents[2]
WRITES = 8
"""Four parts, statistics, requests, manifest, result."""

ATTEMPT = """
import sys
from pathlib import Path
from longtail_api.run_config import PrepareConfig
from longtail_store import open_store
from longtail_trainer.methods import STEPS
from longtail_trainer.running.step import carry_out
from tests.trainer.contexts import context_of
from tests.trainer.faulty_stores import KillsItself

config = PrepareConfig.model_validate_json(sys.argv[1])
store = KillsItself(open_store(config.store), writes=int(sys.argv[2]))
carry_out(STEPS["prepare"].load(), config, context_of(config, Path(sys.argv[3]), store=store))
"""


def attempt(config: PrepareConfig, writes: int, workdir: Path) -> int:
    """Run the step in a process that is killed before its write number `writes` (from 0); its exit code."""
    arguments = [sys.executable, "-c", ATTEMPT, config.model_dump_json(by_alias=True), str(writes), str(workdir)]
    return subprocess.run(arguments, cwd=ROOT, timeout=120, check=False).returncode


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tables(folder)
    return folder


def finish(config: PrepareConfig, workdir: Path, store: Store | None = None) -> Manifest:
    result = carry_out(STEPS["prepare"].load(), config, context_of(config, workdir, store=store))
    return read_object(open_store(config.store), result.outputs["manifest"], Manifest)


def objects(config: PrepareConfig) -> dict[str, bytes]:
    """Everything below data/, with its bytes."""
    store = open_store(config.store)
    return {info.key: store.get(info.key) for info in store.list("data/")}


@pytest.fixture(scope="module")
def undisturbed(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    config = prepare_config(tables, tmp_path_factory.mktemp("undisturbed"))
    finish(config, tmp_path_factory.mktemp("work"))
    return objects(config)


def test_failing_before_any_of_its_writes_it_ends_the_same(tables: Path, undisturbed: dict[str, bytes], tmp_path: Path):
    for writes in range(WRITES):
        config = prepare_config(tables, tmp_path / f"store-{writes}")
        with pytest.raises(StoreUnreachable):
            finish(config, tmp_path / "work", store=FailsAfter(open_store(config.store), writes))
        left = objects(config)
        assert len(left) == writes
        assert writes == WRITES - 1 or not any("manifest" in key for key in left)
        finish(config, tmp_path / "work")
        assert objects(config) == undisturbed


def test_killed_again_and_again_it_still_ends_the_same(tables: Path, undisturbed: dict[str, bytes], tmp_path: Path):
    """Among the parts, before the requests, before the manifest, before the result: each attempt gets further."""
    config = prepare_config(tables, tmp_path / "store")
    codes = [attempt(config, writes, tmp_path / "work") for writes in (2, 5, 6, 7)]
    assert codes == [-signal.SIGKILL] * 4
    finish(config, tmp_path / "work")
    assert objects(config) == undisturbed


def test_lost_responses_to_all_of_its_writes_change_nothing(
    tables: Path, undisturbed: dict[str, bytes], tmp_path: Path
):
    config = prepare_config(tables, tmp_path / "store")
    finish(config, tmp_path / "work", store=LosesResponses(open_store(config.store)))
    assert objects(config) == undisturbed


def test_a_part_with_the_same_rows_in_other_bytes_is_adopted_as_it_is(tables: Path, tmp_path: Path):
    """As when the first attempt ran with another version of the Parquet writer."""
    config = prepare_config(tables, tmp_path / "store")
    store = open_store(config.store)
    rows = pl.DataFrame({"entity": ["a", "b"], "behaviors.visits.page": [["x", None], []]})
    other = io.BytesIO()
    rows.write_parquet(other, compression="uncompressed")
    key = part_key(config.owner, "v1", "test", 0)
    store.put_if_absent(key, other.getvalue())
    part = publish_part(store, config, write_part(rows, "test", 0, tmp_path / "parts"))
    assert (part.key, part.bytes) == (key, len(other.getvalue()))
    assert store.get(key) == other.getvalue()


def test_a_manifest_removed_while_it_is_written_is_tried_again(tables: Path, tmp_path: Path):
    class Removes(LosesResponses):
        def put_if_absent(self, key: str, data: bytes | Path) -> bool:
            return False if key.endswith("manifest.json") else self._store.put_if_absent(key, data)

    config = prepare_config(tables, tmp_path / "store")
    with pytest.raises(Retryable, match="was removed"):
        finish(config, tmp_path / "work", store=Removes(open_store(config.store)))
