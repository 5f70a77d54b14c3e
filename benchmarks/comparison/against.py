"""Whether a comparison's methods got worse: two results of the same folds, before and after a change of the code.

    python -m benchmarks.comparison.against BEFORE AFTER [--where NAME=VALUE …] [--noise METHOD=OTHER …] [--json FILE]

Rows of one method are paired by scenario and seed. A method holds where its mean has not fallen by more than the noise
floor: what training it again with another seed makes of it, by the rows of AFTER.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.comparison.claims import not_below
from benchmarks.comparison.results import Claim, exit_status, write_result
from benchmarks.comparison.shown_command import shown_command
from benchmarks.comparison.statistics import PAIR, difference
from benchmarks.comparison.tables import AGAIN

MODULE = "benchmarks.comparison.against"


class NotComparable(Exception):
    """The two results are not of the same folds, or name a method's rows in several ways."""


def rows_of(content: Mapping[str, Any], where: Mapping[str, str]) -> pl.DataFrame:
    """Columns seed, scenario, method, auc, test_rows; rows that have one of `where`'s names must have its value.

    Raises `NotComparable` where a scenario and seed then has two rows of one method.
    """
    kept = [row for row in content["rows"] if all(str(row.get(name, value)) == value for name, value in where.items())]
    schema = {"seed": pl.Int64, "scenario": pl.String, "method": pl.String, "auc": pl.Float64, "test_rows": pl.Int64}
    rows = pl.DataFrame([{name: row.get(name) for name in schema} for row in kept], schema=schema)
    several = rows.group_by(*PAIR, "method").len().filter(pl.col("len") > 1).sort(*PAIR, "method")
    if len(several):
        seed, scenario, method, count = several.row(0)
        raise NotComparable(f"{count} rows of {method}, {scenario}, seed {seed}; choose by --where, as encoder=LSTM")
    return rows


def claims(before: pl.DataFrame, after: pl.DataFrame, noise: Mapping[str, str]) -> Iterator[Claim]:
    """Of each method that both have, in the order of its first row. noise: whose noise floor a method without one has.

    Raises `NotComparable` where the same scenario and seed has other test rows.
    """
    both = pl.concat(
        [before.with_columns(pl.lit("before").alias("when")), after.with_columns(pl.lit("after").alias("when"))]
    )
    tested = both.filter(pl.col("test_rows") > 0).group_by(PAIR).agg(pl.col("test_rows").n_unique()).sort(PAIR)
    apart = tested.filter(pl.col("test_rows") > 1)
    if len(apart):
        seed, scenario, _ = apart.row(0)
        raise NotComparable(
            f"{scenario}, seed {seed} has other test rows after than before; run both on the same folds"
        )
    for method in after["method"].unique(maintain_order=True):
        again = difference(after, {"method": method + AGAIN}, {"method": method}) or difference(
            after, {"method": noise.get(method, "") + AGAIN}, {"method": noise.get(method, "")}
        )
        if found := difference(both, {"method": method, "when": "after"}, {"method": method, "when": "before"}):
            yield not_below(f"{method}: after − before, AUC", found, again)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog=f"python -m {MODULE}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("before", type=Path, metavar="BEFORE", help="JSON that a comparison wrote")
    result.add_argument("after", type=Path, metavar="AFTER", help="another one, of the same folds")
    result.add_argument(
        "--where", type=_pair, action="append", default=[], metavar="NAME=VALUE", help="rows to compare"
    )
    result.add_argument(
        "--noise",
        type=_pair,
        action="append",
        default=[],
        metavar="METHOD=OTHER",
        help="METHOD has OTHER's noise floor",
    )
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the claims to this file")
    return result


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: give a name and a value, as encoder=LSTM")
    return name, value


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, 1 where a method got worse, 2 where the two can't be compared (said on stderr)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    started = time.monotonic()
    try:
        before, after = (
            rows_of(json.loads(file.read_text()), dict(options.where)) for file in (options.before, options.after)
        )
        found = list(claims(before, after, dict(options.noise)))
    except (OSError, ValueError, NotComparable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for claim in found:
        print(claim.line())
    if options.json:
        rows = [
            {"when": when, **row} for when, side in (("before", before), ("after", after)) for row in side.to_dicts()
        ]
        write_result(options.json, shown_command(given, MODULE), time.monotonic() - started, found, rows)
    return exit_status(found)


if __name__ == "__main__":
    sys.exit(main())
