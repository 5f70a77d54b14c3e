"""Tables, claims, pictures and the JSON file, from what a run gathered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.comparison.results import Claim, write_result
from benchmarks.comparison.rows import Frozen
from benchmarks.comparison.runner import Gathered
from benchmarks.comparison.tables import AVERAGES, DIFFERENCES, Table
from benchmarks.datasets.tables import table_text


@dataclass(frozen=True)
class Shown:
    """What a benchmark makes of its rows; nothing where there are none. rows: as the file is to have them."""

    rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    claims: Sequence[Claim] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Report:
    """What there is to show. command: as it was called, without folders of the machine."""

    gathered: Gathered
    shown: Shown
    protocol: Frozen
    command: str

    def text(self) -> str:
        """Everything as a person reads it."""
        gathered = self.gathered
        parts = [f"{table.title}\n{table_text(table.frame)}" for table in self.shown.tables]
        if self.shown.claims:
            parts.append(f"Claims\n{table_text(_claim_table(self.shown.claims))}")
        parts.append(f"Seeds with every row: {', '.join(map(str, gathered.complete)) or 'none'}")
        if gathered.missing:
            parts.append(f"Units not done yet: {gathered.missing}")
        for title, told in (("Skipped", gathered.skipped), ("Failed", gathered.failed)):
            parts += [f"{title}: {name}: {why}" for name, why in told.items()]
        return "\n\n".join(parts)

    def write_json(self, path: Path) -> None:
        """Beside what every benchmark writes (`seconds`: of all work, earlier work too): what qualifies the claims."""
        more = {
            "averages": self._lines(AVERAGES),
            "differences": self._lines(DIFFERENCES),
            "seeds": self.gathered.complete,
            "unitsMissing": self.gathered.missing,
            "skipped": self.gathered.skipped,
            "failed": self.gathered.failed,
            "protocol": self.protocol.model_dump(mode="json"),
        }
        write_result(path, self.command, self.gathered.seconds, self.shown.claims, _rows(self.shown.rows), more)

    def _lines(self, prefix: str) -> list[dict[str, Any]]:
        """Every line of the tables whose names begin so; what follows names them."""
        found = [table for table in self.shown.tables if table.name.startswith(prefix)]
        return [
            {"of": table.name.removeprefix(prefix), **line}
            for table in found
            for line in table.frame.iter_rows(named=True)
        ]

    def draw(self, folder: Path) -> None:
        """A picture of each table."""
        if self.shown.tables:
            from benchmarks.comparison.plots import draw  # matplotlib takes a second to import

            for table in self.shown.tables:
                draw(table, folder)


def _claim_table(found: Sequence[Claim]) -> pl.DataFrame:
    def interval(claim: Claim) -> str:
        return "–" if claim.interval is None else f"{claim.interval[0]:.4f} … {claim.interval[1]:.4f}"

    words = {True: "holds", False: "does not hold", None: "–"}
    lines = [(claim.name, claim.figure, interval(claim), claim.target or "–", words[claim.holds]) for claim in found]
    return pl.DataFrame(lines, schema=["claim", "figure", "95 % interval", "target", "verdict"], orient="row")


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Without what a row doesn't have; six digits are more than any figure here has."""
    return [
        {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in row.items()
            if value not in (None, "")
        }
        for row in frame.iter_rows(named=True)
    ]
