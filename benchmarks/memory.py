"""What the benchmarks of memory share: synthetic tables, and trainer steps in processes of their own, measured.

The tables have a tenth as many training samples as behavior events, and need some 60 bytes of disk per event, three
times: as tables, while they are prepared, and in the store.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.comparison.results import Claim, exit_status, write_result
from longtail_api.data_schema import DataSchema
from longtail_api.run_config import PrepareConfig, StepConfig, StoreAddress
from longtail_api.store_layout import manifest_key
from longtail_api.store_objects import Manifest
from longtail_store import open_store, read_object

EVENTS_PER_SAMPLE = 10
LIMIT_MIB = 2048
DATA_VERSION = "v1"
RUN = 1


@dataclass(frozen=True)
class Usage:
    """What one process took, its children not counted."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    """Resident memory at its highest. Libraries are in it: some 640 MiB as soon as torch's CUDA build is loaded."""


def make_tables(folder: Path, events: int, scenarios: int = 1) -> list[str]:
    """Synthetic tables of so many events, their samples spread evenly over so many scenarios; the scenarios' names."""
    training = events // EVENTS_PER_SAMPLE
    command = [sys.executable, "-m", "benchmarks.datasets", "synthetic", str(folder), "--clusters", "1"]
    command += ["--scenarios", str(scenarios), "--exponent", "0", "--events", str(events), "--rows", str(training)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [f"scenario-{number:04d}" for number in range(scenarios)]


def schema_of(tables: Path) -> DataSchema:
    return DataSchema.model_validate(yaml.safe_load((tables / "schema.yaml").read_text()))


def prepare_config(tables: Path, store: Path, scenario: str) -> PrepareConfig:
    schema = schema_of(tables)
    return PrepareConfig(
        store=StoreAddress(uri=store.as_uri()),
        identity="benchmark",
        owner=owner(scenario),
        run=RUN,
        data_schema=schema,
        samples=(tables / "samples.parquet").as_uri(),
        profile=(tables / "profile.parquet").as_uri(),
        behaviors={sequence.name: behavior_uri(tables, sequence.name) for sequence in schema.behaviors},
        source_key=scenario,
        data_version=DATA_VERSION,
    )


def behavior_uri(tables: Path, name: str) -> str:
    folder = tables / "behaviors" / name
    return (folder if folder.is_dir() else folder.with_suffix(".parquet")).as_uri()


def owner(scenario: str) -> str:
    """The scenario's key in the store."""
    return f"benchmark.{scenario}.00000000"


def samples_of(store: Path, scenarios: Sequence[str]) -> int:
    """Prepared samples of these scenarios, all splits together."""
    opened = open_store(StoreAddress(uri=store.as_uri()))
    manifests = [read_object(opened, manifest_key(owner(one), DATA_VERSION), Manifest) for one in scenarios]
    return sum(sum(manifest.rows.values()) for manifest in manifests)


def carried_out(name: str, config: StepConfig, folder: Path) -> Usage:
    """Run a step as a person would, in a process of its own, with files of this name in `folder`. Raises if it fails.

    The process measured must be larger than this one: Linux counts into a child's peak what its parent held when it
    started it. So neither this module nor those that use it import torch.
    """
    config_file, work = folder / f"{name}.json", folder / "work"
    config_file.write_text(config.model_dump_json(by_alias=True, exclude_none=True))
    work.mkdir(exist_ok=True)
    files = ["--config", str(config_file), "--workdir", str(work)]
    command = [sys.executable, "-m", "longtail_trainer", config.step, *files]
    started = time.monotonic()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)  # this child's own peak; RUSAGE_CHILDREN's is the largest of all
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.stderr.write((folder / f"{name}.log").read_text(errors="replace"))
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(
        seconds=round(seconds, 1),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 1),
        peak_mib=round(usage.ru_maxrss / 1024, 1),  # Linux counts in KiB
    )


def under_limit(step: str, events: int, peak_mib: float) -> Claim:
    """The claim on a step's peak memory."""
    name = f"peak memory of {step} at {events:,} events, MiB"
    return Claim(name=name, figure=peak_mib, target=f"< {LIMIT_MIB}", holds=peak_mib < LIMIT_MIB)


def arguments(module: str, description: str | None, events: list[int]) -> argparse.ArgumentParser:
    """A parser of what both benchmarks are asked: the sizes, and where the figures go."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, nargs="+", default=events, help="behavior events of the tables: sizes")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser


def report(command: str, started: float, found: Sequence[Claim], rows: Sequence[Any], file: Path | None) -> int:
    """Print the claims and write the JSON; the exit code: 1 where a claim fails. `rows` are dataclass instances."""
    for claim in found:
        print(claim.line())
    if file:
        write_result(file, command, time.monotonic() - started, found, [asdict(row) for row in rows])
    return exit_status(found)
