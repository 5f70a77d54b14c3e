"""Claim: `prepare`'s memory does not grow with the tables; 20 million events take less than 2 GiB.

Makes synthetic tables of several sizes, all samples in one scenario (the worst case), prepares each in a process of
its own, and prints rows, peak resident memory and time. Needs some 60 bytes of disk per event, three times.

    python -m benchmarks.prepare_memory [--events 2000000 20000000] [--json FILE]
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.comparison.results import Claim
from benchmarks.memory import (
    arguments,
    carried_out,
    make_tables,
    prepare_config,
    report,
    samples_of,
    under_limit,
)

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


def measured(events: int, folder: Path) -> Measured:
    """Prepare tables of so many events; what it took. Raises where the step fails."""
    tables, store = folder / "tables", folder / "store"
    scenarios = make_tables(tables, events)
    usage = carried_out("prepare", prepare_config(tables, store, scenarios[0]), folder)
    return Measured(events, samples_of(store, scenarios), usage.seconds, usage.cpu_seconds, usage.peak_mib)


def claims(rows: list[Measured]) -> list[Claim]:
    """What the figures must show."""
    largest, smallest = rows[-1], rows[0]
    ratio = round(largest.peak_mib / smallest.peak_mib, 2)
    return [
        under_limit("prepare", largest.events, largest.peak_mib),
        Claim(
            name=f"peak memory over that at {smallest.events:,} events",
            figure=ratio,
            target=f"<= {FLATNESS}",
            holds=ratio <= FLATNESS,
        ),
    ]


def described(row: Measured) -> str:
    return (
        f"{row.events:>12,} events, {row.samples:>10,} samples: peak {row.peak_mib:7.1f} MiB, "
        f"{row.seconds:6.1f} s, {row.cpu_seconds:6.1f} s of CPU"
    )


def parser() -> argparse.ArgumentParser:
    return arguments("benchmarks.prepare_memory", __doc__, [2_000_000, 20_000_000])


def main() -> int:
    options = parser().parse_args()
    started = time.monotonic()
    rows: list[Measured] = []
    for events in sorted(options.events):
        with tempfile.TemporaryDirectory(prefix="longtail-prepare-memory-") as folder:
            rows.append(measured(events, Path(folder)))
        print(described(rows[-1]), flush=True)
    command = " ".join(["python -m benchmarks.prepare_memory", "--events", *map(str, sorted(options.events))])
    return report(command, started, claims(rows), rows, options.json)


if __name__ == "__main__":
    sys.exit(main())
