"""Experiments on what a comparison left, each a module with a command of its own.

They use the comparison's --dataset, --out and code, so it must have run before; they change nothing that it made.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import polars as pl

from benchmarks.alt.protocol import LIGHT_OPERATIONS, PAPER, QUICK, Encoder
from benchmarks.alt.rows import Outcome
from benchmarks.alt.units import SOURCES
from benchmarks.alt.units.workplace import Workplace
from benchmarks.comparison.cache import Cache, data_hash, source_hash
from benchmarks.comparison.dataset import UnusableDataset, open_dataset
from benchmarks.comparison.results import Claim, write_result
from benchmarks.comparison.shown_command import shown_command
from benchmarks.datasets.tables import table_text

INITIAL, QUICK_INITIAL = 8, 2
"""Initial scenarios of the comparison, and of one with --quick."""
SCENARIOS = 6
"""Scenarios that each seed draws, as for ablations."""
Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
Row = dict[str, Any]
Measured = tuple[list[Row], list[Claim], pl.DataFrame]
"""Rows, claims, and the table that is printed."""


def common_parser(module: str, document: str | None) -> argparse.ArgumentParser:
    """With the options that all experiments have."""
    result = argparse.ArgumentParser(
        prog=f"python -m {module}", description=document, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="what the comparison was given")
    result.add_argument("--out", type=Path, default=Path("build/alt"), metavar="DIR", help="the comparison's folder")
    result.add_argument("--quick", action="store_true", help="the comparison was a --quick one")
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return result


def encoder(name: str) -> Encoder:
    """The encoder of that name, whatever its case. Raises `argparse.ArgumentTypeError`."""
    by_lower: dict[str, Any] = {one.lower(): one for one in LIGHT_OPERATIONS}
    if name.lower() not in by_lower:
        raise argparse.ArgumentTypeError(f"no {name}; choose of {', '.join(LIGHT_OPERATIONS)}")
    return by_lower[name.lower()]


def mapped(function: Callable[[*Arguments], Result], work: Sequence[tuple[*Arguments]], jobs: int) -> Iterator[Result]:
    """`function` of each piece of work, in their order, in so many processes; 1 works in this one."""
    if jobs == 1:
        yield from (function(*one) for one in work)
        return
    # Fresh interpreters: torch and polars don't survive a fork.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(function, *zip(*work, strict=True))


def carry_out(
    module: str, arguments: Sequence[str], options: argparse.Namespace, measure: Callable[[Workplace, int], Measured]
) -> int:
    """Hand the workplace and the number of initial scenarios to `measure`, print, write.

    Exit status: 0; 1 where the comparison left nothing to build on, 2 where the data set is none (said on stderr).
    """
    started = time.monotonic()
    protocol = QUICK if options.quick else PAPER
    try:
        dataset = open_dataset(options.dataset)
        cache = Cache(options.out / "cache", data_hash(options.dataset), source_hash(SOURCES), protocol, Outcome)
        rows, claims, table = measure(Workplace(dataset, cache), QUICK_INITIAL if options.quick else INITIAL)
    except UnusableDataset as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except LookupError as error:
        print(f"error: {error}; run `python -m benchmarks.alt` with this --dataset and --out first", file=sys.stderr)
        return 1
    print(table_text(table))
    for claim in claims:
        print(claim.line())
    if options.json:
        write_result(options.json, shown_command(arguments, module), time.monotonic() - started, claims, rows)
    return 0
