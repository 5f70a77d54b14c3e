"""What a search's `metrics.jsonl` tells, for its pictures: distributions by epoch, and what was considered."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from longtail_api.model_families import LightArchitecture
from longtail_trainer.pictures import Candidates, Distribution
from longtail_trainer.search.spaces.cell import Choice

Records = Sequence[Mapping[str, Any]]


def distributions(
    choices: Sequence[Choice], records: Records, chosen: LightArchitecture
) -> tuple[list[int], list[Distribution]]:
    """The epochs, and every layer's distributions over them; none where the algorithm learns none."""
    by_epoch = {int(record["epoch"]): json.loads(record["probabilities"]) for record in records if _learned(record)}
    epochs = sorted(by_epoch)
    history: list[dict[str, list[float]]] = [by_epoch[epoch] for epoch in epochs]
    result: list[Distribution] = []
    for layer in range(1, len(chosen.layers) + 1):
        own = [choice for choice in choices if choice.layer == layer]
        picked = chosen.layers[layer - 1]
        for choice in own:
            if choice.kind == "residual":
                continue
            options = tuple(_output(int(o)) if choice.kind == "input" else str(o) for o in choice.options)
            pick = choice.options.index(picked.input if choice.kind == "input" else picked.operation)
            values = [epoch[choice.name] for epoch in history]
            result.append(Distribution(layer, choice.kind, options, values, frozenset({pick})))
        edges = [choice for choice in own if choice.kind == "residual"]
        on = [[epoch[edge.name][1] for edge in edges] for epoch in history]
        taken = frozenset(number for number, edge in enumerate(edges) if edge.source in picked.residuals)
        result.append(Distribution(layer, "residual", tuple(_output(edge.source) for edge in edges), on, taken))
    return epochs, result


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


def _output(number: int) -> str:
    return f"layer {number}" if number else "original input"
