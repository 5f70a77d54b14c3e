"""The claims of a result file as a table for a page of docs/: `python -m benchmarks.claims_table FILE…`.

A test holds the pages to what this prints.
"""

import argparse
import json
from pathlib import Path
from typing import Any

VERDICTS = {True: "yes", False: "no", None: ""}


def claims_table(result: Path) -> str:
    """Markdown: claim, figure, 95 % interval, target, and whether it holds; empty where there is none."""
    claims: list[dict[str, Any]] = json.loads(result.read_text())["claims"]
    lines = ["| claim | figure | 95 % interval | target | holds |", "|---|--:|---|---|---|"]
    return "\n".join(lines + [_line(claim) for claim in claims])


def _line(claim: dict[str, Any]) -> str:
    interval = claim["interval"]
    between = "" if interval is None else f"{_short(interval[0])} … {_short(interval[1])}"
    target = "" if claim["target"] in (None, "–") else claim["target"]
    return f"| {claim['name']} | {_short(claim['figure'])} | {between} | {target} | {VERDICTS[claim['holds']]} |"


def _short(figure: float) -> str:
    """Four decimals at most, with a minus sign that doesn't break."""
    rounded = f"{figure:.4f}".rstrip("0").rstrip(".")
    return rounded.replace("-", "−") if rounded != "-0" else "0"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims_table", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    for file in parser.parse_args().files:
        print(claims_table(file))


if __name__ == "__main__":
    main()
