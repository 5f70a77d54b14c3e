"""Tables, claims, pictures and the JSON file, from what a run gathered."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.alt.claims import Claim, claims
from benchmarks.alt.plan import Wanted
from benchmarks.alt.protocol import Protocol
from benchmarks.alt.results import results
from benchmarks.alt.rows import Row
from benchmarks.alt.runner import Gathered
from benchmarks.alt.tables import DIFFERENCES, Table, tables
from benchmarks.datasets.tables import table_text


class Report:
    """What there is to show. command: as it was called, without folders of the machine."""

    def __init__(
        self, gathered: Gathered, wanted: Wanted, protocol: Protocol, targets: Mapping[str, float], command: str
    ) -> None:
        self.gathered = gathered
        self.protocol = protocol
        self.command = command
        self.rows: pl.DataFrame | None = None
        self.claims: list[Claim] = []
        self.tables: list[Table] = []
        if any(row.auc is not None for row in gathered.rows):
            self.rows = results(gathered.rows, gathered.scenarios, wanted.initial[0])
            self.claims = claims(self.rows, wanted, gathered.budgets, targets)
            self.tables = tables(self.rows, wanted)

    def text(self) -> str:
        """Everything as a person reads it."""
        gathered = self.gathered
        parts = [f"{table.title}\n{table_text(table.frame)}" for table in self.tables]
        if self.claims:
            parts.append(f"Claims\n{table_text(_claim_table(self.claims))}")
        parts.append(f"Seeds with every row: {', '.join(map(str, gathered.complete)) or 'none'}")
        if gathered.missing:
            parts.append(f"Units not done yet: {gathered.missing}")
        for title, told in (("Skipped", gathered.skipped), ("Failed", gathered.failed)):
            parts += [f"{title}: {name}: {why}" for name, why in told.items()]
        return "\n\n".join(parts)

    def write_json(self, path: Path) -> None:
        """`command`, `seconds` (of all units, earlier ones too), `claims`, what qualifies them, `rows` (one a line)."""
        content = {
            "command": self.command,
            "seconds": round(self.gathered.seconds, 1),
            "claims": [claim.model_dump(mode="json") for claim in self.claims],
            "differences": self._differences(),
            "seeds": self.gathered.complete,
            "unitsMissing": self.gathered.missing,
            "skipped": self.gathered.skipped,
            "failed": self.gathered.failed,
            "protocol": self.protocol.model_dump(mode="json"),
        }
        head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix("\n}")
        rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in _rows(self.rows))
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(f'{head},\n "rows": [\n{rows}\n ]\n}}\n')
        part.replace(path)

    def _differences(self) -> list[dict[str, Any]]:
        """Every line of the tables of paired differences."""
        found = [table for table in self.tables if table.name.startswith(DIFFERENCES)]
        return [
            {"encoder": table.name.removeprefix(DIFFERENCES), **line}
            for table in found
            for line in table.frame.iter_rows(named=True)
        ]

    def draw(self, folder: Path) -> None:
        """A picture of each table."""
        if self.tables:
            from benchmarks.alt.plots import draw  # matplotlib takes a second to import

            for table in self.tables:
                draw(table, folder)


def _claim_table(found: Sequence[Claim]) -> pl.DataFrame:
    def interval(claim: Claim) -> str:
        return "–" if claim.interval is None else f"{claim.interval[0]:.4f} … {claim.interval[1]:.4f}"

    words = {True: "holds", False: "does not hold", None: "–"}
    lines = [(claim.name, claim.figure, interval(claim), claim.target, words[claim.holds]) for claim in found]
    return pl.DataFrame(lines, schema=["claim", "figure", "95 % interval", "target", "verdict"], orient="row")


def _rows(frame: pl.DataFrame | None) -> list[dict[str, Any]]:
    """Without what a row doesn't have; six digits are more than any figure here has."""
    if frame is None:
        return []
    keep = [*Row.model_fields, "arrival", "group"]
    ordered = frame.select(keep).sort("seed", "encoder", "initial", "method", "folding", "scenario")
    return [
        {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in row.items()
            if value not in (None, "")
        }
        for row in ordered.iter_rows(named=True)
    ]
