"""What a search's `metrics.jsonl` tells, for its pictures: distributions by epoch, and what was considered."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from longtail_trainer.pictures import Candidates, Distribution
from longtail_trainer.search.spaces.space import Panel

Records = Sequence[Mapping[str, Any]]


def distributions(panels: Sequence[Panel], records: Records) -> tuple[list[int], list[Distribution]]:
    """The epochs, and what the panels of a space show of them; none where the algorithm learns no distributions."""
    by_epoch = {int(record["epoch"]): json.loads(record["probabilities"]) for record in records if _learned(record)}
    epochs = sorted(by_epoch)
    return epochs, [
        Distribution(
            panel.title,
            group.title,
            tuple(row.label for row in group.rows),
            [[by_epoch[epoch][row.decision][row.option] for row in group.rows] for epoch in epochs],
            frozenset(number for number, row in enumerate(group.rows) if row.picked),
        )
        for panel in panels
        for group in panel.groups
    ]


def considered(records: Records, figure: str) -> Candidates:
    """What the search derived after its epochs, or tried, where `figure` (as in `evaluate`) is known of it.

    Epochs of the warm-up, which have no loss on query rows, derive nothing: the distributions are what they were.
    """
    name = f"validation.{figure}"
    known = [record for record in records if record.get(name) is not None and math.isfinite(record[name])]
    moved = [record for record in known if "derivedFlops" in record and "queryLoss" in record]
    derived = [(int(record["derivedFlops"]), float(record[name])) for record in moved]
    tried = [(int(record["flops"]), float(record[name])) for record in known if "trial" in record]
    return Candidates(tried, trained=True) if tried else Candidates(derived)


def _learned(record: Mapping[str, Any]) -> bool:
    return "epoch" in record and "probabilities" in record
