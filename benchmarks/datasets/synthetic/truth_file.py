"""`truth.json`: the weights, and the best AUC that any model can reach on the test rows."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.datasets.synthetic.arrays import Floats
from benchmarks.datasets.synthetic.directions import DIRECTIONS, SIGNAL
from benchmarks.datasets.synthetic.known_truth import Truth
from benchmarks.datasets.synthetic.options import Options
from benchmarks.datasets.synthetic.sample_rows import SPLITS
from benchmarks.datasets.synthetic.scenarios import scenario_keys
from benchmarks.datasets.tables import TRUTH


def auc(labels: NDArray[np.integer], scores: Floats) -> float | None:
    """Area under the ROC curve, ties count half; None where only one class is present."""
    positives = int(labels.sum())
    negatives = labels.size - positives
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def write_truth(
    options: Options, known: Truth, labelled: pl.DataFrame, tested: pl.DataFrame, out: Path
) -> pl.DataFrame:
    counts = {
        (scenario, split): count for scenario, split, count in labelled.group_by("scenario", "split").len().rows()
    }
    by_scenario = tested.partition_by("scenario", as_dict=True)
    scenarios: list[dict[str, object]] = []
    table: list[dict[str, object]] = []
    for i, key in enumerate(scenario_keys(options)):
        test = by_scenario[(key,)]
        best = {label: auc(test[label].to_numpy(), test[f"true:{label}"].to_numpy()) for label in options.labels}
        numbers = {split: counts.get((key, split), 0) for split in SPLITS}
        scenarios.append(
            {
                "name": key,
                "cluster": i % options.clusters,
                "rows": numbers,
                "bestAuc": best,
                "offsets": dict(zip(options.labels, known.offsets[i].tolist(), strict=True)),
                "weights": dict(zip(options.labels, known.weights[i].tolist(), strict=True)),
            }
        )
        positives = labelled.filter(pl.col("scenario") == key).select(pl.col(options.labels).cast(pl.Int64).sum())
        table.append(
            {
                "scenario": key,
                "cluster": i % options.clusters,
                **numbers,
                **{f"{label} positives": positives[label][0] for label in options.labels},
                **{f"{label} best AUC": value for label, value in best.items()},
            }
        )
    document = {
        "schemaVersion": 1,
        "generator": asdict(options),
        "labels": options.labels,
        "relation": known.relation.round(12).tolist(),
        "directions": list(DIRECTIONS),
        "signal": SIGNAL,
        "scenarios": scenarios,
    }
    (out / TRUTH).write_text(json.dumps(document, indent=1) + "\n")
    return pl.DataFrame(table, infer_schema_length=None)
