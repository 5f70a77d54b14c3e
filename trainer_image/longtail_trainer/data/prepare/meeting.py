"""Whether the keys of the tables meet: `7` and `'000007'` never do, and nothing is wrong with either table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from longtail_api.data_schema import ENTITY
from longtail_trainer.data.prepare.selection import Dated
from longtail_trainer.data.tables import Table

FEW = 0.01
"""Of a table that knows a smaller share of the samples' entities, one is told."""
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class Meeting:
    """How many entities of the scenario's samples each other table knows."""

    entities: int = 0
    found: Mapping[str, int] = field(default_factory=dict[str, int])
    """By table."""
    warnings: list[str] = field(default_factory=list[str])
    """A sentence for each table that has rows, and knows none or few of them."""


def meeting(samples: Table, first_entity: str, entities: int, tables: Mapping[str, Dated]) -> Meeting:
    """first_entity: of the scenario's samples, as an example."""
    warnings: list[str] = []
    for name, dated in tables.items():
        if dated.first_key is None or dated.found >= FEW * entities:
            continue
        if dated.found:
            warnings.append(f"of {entities} entities of the samples {name} knows {dated.found}")
        else:
            ours = _example(first_entity, samples)
            theirs = _example(dated.first_key, dated.selected.table)
            warnings.append(
                f"no entity of the samples is in {name}: the samples have {ours}, {name} has {theirs}; write keys alike"
            )
    return Meeting(entities, {name: dated.found for name, dated in tables.items()}, warnings)


def _example(key: str, table: Table) -> str:
    shown = key if len(key) <= _SHOWN_CHARACTERS else key[: _SHOWN_CHARACTERS - 1] + "…"
    return f"{shown!r} ({table.type_of(ENTITY)})"
