"""`longtail-trainer prepare` over tables as someone else wrote them, and all that a person sees of how it ended."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from longtail_api.data_schema import DataSchema
from longtail_api.store_objects import Termination
from longtail_trainer.methods import STEPS
from longtail_trainer.running.command import command
from tests.trainer.tiny import SCHEMA, prepare_config

ROOT = Path(__file__).parents[2]
ROOMS = ("crds", "store", "trainer_image")
Change = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    exit_code: int
    termination: Termination | None
    """None where the process left no word."""
    log: str
    parts: pl.DataFrame
    """The rows of all parts that it wrote."""

    @property
    def reason(self) -> str:
        return "" if self.termination is None else self.termination.reason

    @property
    def message(self) -> str:
        return "" if self.termination is None else self.termination.message

    @property
    def outputs(self) -> dict[str, Any]:
        return {} if self.termination is None else self.termination.outputs


def prepared(tables: Path, schema: DataSchema = SCHEMA, source_key: str = "s0", **changes: Any) -> Ended:
    """`python -m longtail_trainer prepare` as a process of its own, over the tables in this folder."""
    config, log = _config(tables, schema, source_key, changes)
    ended = subprocess.run(
        [sys.executable, "-m", "longtail_trainer", "prepare", "--config", str(config), "--workdir", str(tables)],
        env={
            **os.environ,
            "PYTHONPATH": os.environ.get("PYTHONPATH") or os.pathsep.join(str(ROOT / room) for room in ROOMS),
            "TERMINATION_MESSAGE_PATH": str(log),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return _ended(tables, ended.returncode, log, ended.stderr)


def prepared_here(tables: Path, schema: DataSchema = SCHEMA, source_key: str = "s0", **changes: Any) -> Ended:
    """The same command in this process: for the many cases that need no process of their own."""
    config, log = _config(tables, schema, source_key, changes)
    before = os.environ.get("TERMINATION_MESSAGE_PATH")
    os.environ["TERMINATION_MESSAGE_PATH"] = str(log)
    try:
        code = command(["prepare", "--config", str(config), "--workdir", str(tables)], STEPS)
    finally:
        os.environ.pop("TERMINATION_MESSAGE_PATH")
        if before is not None:
            os.environ["TERMINATION_MESSAGE_PATH"] = before
    return _ended(tables, code, log, "")


def _config(tables: Path, schema: DataSchema, source_key: str, changes: dict[str, Any]) -> tuple[Path, Path]:
    config = prepare_config(tables, tables / "store", schema, source_key, **changes)
    path, log = tables / "config.json", tables / "termination-log"
    path.write_text(json.dumps(config.to_json_dict()))
    log.write_text("")
    return path, log


def _ended(tables: Path, code: int, log: Path, stderr: str) -> Ended:
    said = log.read_bytes()
    parts = sorted(tables.glob("store/data/*/*/part-*.parquet"))
    return Ended(
        code,
        Termination.model_validate_json(said) if said else None,
        stderr,
        pl.concat([pl.read_parquet(part) for part in parts]) if parts else pl.DataFrame(),
    )


def rewritten(tables: Path, table: str, change: Change, **options: Any) -> None:
    """Change one of the tables with Arrow, which writes more types than polars does."""
    path = tables / f"{table}.parquet"
    pq.write_table(change(pq.read_table(path)), path, **options)


def put(table: pa.Table, name: str, values: Any) -> pa.Table:
    """With this column in place of the one of that name, or at the end."""
    position = table.schema.get_field_index(name)
    return table.set_column(position, name, values) if position >= 0 else table.append_column(name, values)


def halves(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    middle = table.num_rows // 2
    return table.slice(0, middle), table.slice(middle)


def lay(folder: Path, files: dict[str, pa.Table], **options: Any) -> str:
    """Write these files below a folder; its URI."""
    for path, rows in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, folder / path, **options)
    return folder.as_uri()
