"""What every benchmark writes with `--json FILE`: the command, seconds, claims, and the rows they come from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class Claim(BaseModel):
    """One figure. interval: 95 %; None where one measurement has none. target, holds: None where it is only shown."""

    model_config = ConfigDict(frozen=True)

    name: str
    figure: float
    interval: tuple[float, float] | None = None
    target: str | None = None
    holds: bool | None = None

    def line(self) -> str:
        """As a benchmark of few claims prints it."""
        word = {True: "holds", False: "FAILS", None: "found"}[self.holds]
        between = "" if self.interval is None else f" [{self.interval[0]:g}, {self.interval[1]:g}]"
        return f"{word}: {self.name}: {self.figure:g}{between}" + (f" ({self.target})" if self.target else "")


def write_result(
    file: Path,
    command: str,
    seconds: float,
    claims: Sequence[Claim],
    rows: Iterable[Mapping[str, Any]],
    more: Mapping[str, Any] | None = None,
) -> None:
    """more: what a benchmark says beside claims and rows. One row a line; the file is replaced whole, or not at all."""
    content = {
        "command": command,
        "seconds": round(seconds, 1),
        "claims": [claim.model_dump(mode="json") for claim in claims],
        **(more or {}),
    }
    head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix("\n}")
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(f'{head},\n "rows": [\n{lines}\n ]\n}}\n')
    part.replace(file)


def exit_status(claims: Iterable[Claim]) -> int:
    """1 where a claim does not hold."""
    return 1 if any(claim.holds is False for claim in claims) else 0
