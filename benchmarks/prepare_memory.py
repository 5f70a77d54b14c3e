"""Claim: `prepare`'s memory does not grow with the tables; 20 million events take less than 2 GiB.

Makes synthetic tables of several sizes, all samples in one scenario (the worst case), prepares each in a process of
its own, and prints rows, peak resident memory and time. Needs some 60 bytes of disk per event, three times.

    python -m benchmarks.prepare_memory [--events 2000000 20000000] [--json FILE]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
import yaml

from longtail_api.data_schema import DataSchema
from longtail_api.run_config import PrepareConfig, StoreAddress

SCENARIO = "scenario-0000"
EVENTS_PER_SAMPLE = 10
LIMIT_MIB = 2048
FLATNESS = 1.5
"""Peak memory of the largest tables over that of the smallest, at most: what it may grow where data grows tenfold."""


@dataclass(frozen=True)
class Measured:
    """One run of `prepare` in a process of its own."""

    events: int
    samples: int
    seconds: float
    cpu_seconds: float
    peak_mib: float


def make_tables(folder: Path, events: int) -> None:
    """Synthetic tables of so many events, and a tenth as many training samples, in one scenario."""
    training = events // EVENTS_PER_SAMPLE
    command = [sys.executable, "-m", "benchmarks.datasets", "synthetic", str(folder), "--scenarios", "1"]
    command += ["--clusters", "1", "--events", str(events), "--rows", str(training)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def config_of(tables: Path, store: Path) -> PrepareConfig:
    schema = DataSchema.model_validate(yaml.safe_load((tables / "schema.yaml").read_text()))
    behaviors = {sequence.name: behavior_uri(tables, sequence.name) for sequence in schema.behaviors}
    return PrepareConfig(
        store=StoreAddress(uri=store.as_uri()),
        identity="benchmark",
        owner="benchmark.one.00000000",
        run=1,
        data_schema=schema,
        samples=(tables / "samples.parquet").as_uri(),
        profile=(tables / "profile.parquet").as_uri(),
        behaviors=behaviors,
        source_key=SCENARIO,
        data_version="v1",
    )


def behavior_uri(tables: Path, name: str) -> str:
    folder = tables / "behaviors" / name
    return (folder if folder.is_dir() else folder.with_suffix(".parquet")).as_uri()


def measured(events: int, folder: Path) -> Measured:
    """Prepare tables of so many events; what it took. Raises where the step fails."""
    tables, config_file = folder / "tables", folder / "config.json"
    make_tables(tables, events)
    config_file.write_text(config_of(tables, folder / "store").model_dump_json(by_alias=True, exclude_none=True))
    (folder / "work").mkdir()
    command = [sys.executable, "-m", "longtail_trainer", "prepare", "--config", str(config_file)]
    command += ["--workdir", str(folder / "work")]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # this child's own peak; RUSAGE_CHILDREN would be the largest of all
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Measured(
        events=events,
        samples=int(pl.scan_parquet(tables / "samples.parquet").select(pl.len()).collect().item()),
        seconds=round(seconds, 1),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 1),
        peak_mib=round(usage.ru_maxrss / 1024, 1),  # Linux counts in KiB
    )


def claims(rows: list[Measured]) -> list[dict[str, object]]:
    """What the figures must show."""
    largest, smallest = rows[-1], rows[0]
    ratio = round(largest.peak_mib / smallest.peak_mib, 2)
    return [
        {
            "name": f"peak memory of prepare at {largest.events:,} events, MiB",
            "figure": largest.peak_mib,
            "interval": None,
            "target": f"< {LIMIT_MIB}",
            "holds": largest.peak_mib < LIMIT_MIB,
        },
        {
            "name": f"peak memory over that at {smallest.events:,} events",
            "figure": ratio,
            "interval": None,
            "target": f"<= {FLATNESS}",
            "holds": ratio <= FLATNESS,
        },
    ]


def described(row: Measured) -> str:
    return (
        f"{row.events:>12,} events, {row.samples:>10,} samples: peak {row.peak_mib:7.1f} MiB, "
        f"{row.seconds:6.1f} s, {row.cpu_seconds:6.1f} s of CPU"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[2_000_000, 20_000_000], help="ascending sizes")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    started = time.monotonic()
    rows: list[Measured] = []
    for events in sorted(options.events):
        with tempfile.TemporaryDirectory(prefix="longtail-prepare-memory-") as folder:
            rows.append(measured(events, Path(folder)))
        print(described(rows[-1]), flush=True)
    found = claims(rows)
    for claim in found:
        print(f"{'holds' if claim['holds'] else 'FAILS'}: {claim['name']}: {claim['figure']} ({claim['target']})")
    if options.json:
        report = {
            "command": " ".join(["python -m benchmarks.prepare_memory", "--events", *map(str, sorted(options.events))]),
            "seconds": round(time.monotonic() - started, 1),
            "claims": found,
            "rows": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(claim["holds"] for claim in found) else 1


if __name__ == "__main__":
    sys.exit(main())
