"""The command line that comparisons share: what to compare on, how much of it, with how many processes."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.comparison.benchmark import Benchmark
from benchmarks.comparison.report import Report, Shown
from benchmarks.comparison.rows import Frozen, Outcome, Work
from benchmarks.comparison.runner import Gathered, Runner

FAILED, WRONG, TERMINATED = 1, 2, 143
"""Exit statuses: some work failed; the caller must change something; SIGTERM, the same command goes on."""

WorkType = TypeVar("WorkType", bound=Work)
OutcomeType = TypeVar("OutcomeType", bound=Outcome[Any])


def add_options(parser: argparse.ArgumentParser, methods: Sequence[str], out: Path) -> None:
    """Those of every comparison. methods: all that there are; out: where results go by default."""
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="a folder in the three-table form")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="repetitions, of the seeds 0 to N − 1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write claims and rows there, after each seed")
    parser.add_argument("--out", type=Path, default=out, metavar="DIR", help="cache, logs and pictures")
    parser.add_argument(
        "--scenarios", type=comma_separated, metavar="A,B", help="compare as if there were no others (default: all)"
    )
    parser.add_argument(
        "--methods",
        type=names({slug(method): method for method in methods}),
        default=list(methods),
        metavar="A,B",
        help=f"compare these, and what they build on (default: all), of {', '.join(map(slug, methods))}",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes; 1 works in this one")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each process")
    parser.add_argument("--cached-only", action="store_true", help="start nothing, report what is done")


def slug(name: str) -> str:
    """A name as one word for the command line: `Boosting, all rows` is `boosting-all-rows`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def comma_separated(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split(",")))


def names(known: dict[str, str]) -> Callable[[str], list[str]]:
    """A parser of a comma-separated list of these words, whatever their case, to what each stands for; or `all`."""
    by_lower = {word.lower(): name for word, name in known.items()}

    def parse(text: str) -> list[str]:
        if text.lower() == "all":
            return list(known.values())
        unknown = [word for word in text.split(",") if word.lower() not in by_lower]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; choose of {', '.join(known)}")
        return list(dict.fromkeys(by_lower[word.lower()] for word in text.split(",")))

    return parse


def compare(
    benchmark: Benchmark[WorkType, OutcomeType],
    options: argparse.Namespace,
    protocol: Frozen,
    command: str,
    show: Callable[[Gathered], Shown],
    seeds: int | None = None,
) -> int:
    """Carry out the benchmark as the options say, print, draw, and write; the exit status.

    show: rows, claims and tables of what is there, called after each seed. seeds: in place of the option's.
    """

    def report(gathered: Gathered) -> Report:
        made = Report(gathered, show(gathered), protocol, command)
        if options.json:
            made.write_json(options.json)
        return made

    runner = Runner(benchmark, options.jobs, options.cached_only)
    gathered = runner.run(range(options.seeds if seeds is None else seeds), report)
    if gathered.interrupted:
        print("stopped by SIGTERM; the same command goes on where this one ended", file=sys.stderr)
        return TERMINATED
    made = report(gathered)
    made.draw(options.out / "plots")
    print(made.text())
    return FAILED if gathered.failed else 0
