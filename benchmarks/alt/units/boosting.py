"""boosting: gradient-boosted trees on profile, aggregates and raw sequence, trained once for all scenarios."""

import io
import time
from collections.abc import Sequence
from functools import reduce

import numpy as np
import polars as pl

from benchmarks.alt.methods import POOLED_BOOSTING, TARGET_BOOSTING
from benchmarks.alt.rows import Outcome, Row, Unit
from benchmarks.alt.units.repetition import arrival_order
from benchmarks.alt.units.workplace import Prepared, Workplace
from benchmarks.comparison.boosting import BoostedTrees, FeatureTable, Floats, empty_rows
from benchmarks.comparison.rows import figures
from benchmarks.comparison.target_statistics import TargetStatistics
from longtail_api.store_layout import statistics_key
from longtail_api.store_objects import Statistics
from longtail_store import Store, read_object
from longtail_trainer.data.loading import load_manifest
from longtail_trainer.data.prepare.statistics import merge
from longtail_trainer.training.evaluation import binary_metrics


def run(unit: Unit, workplace: Workplace) -> Outcome:
    """A row for each scenario. Validation rows end the training early, as in pooled training.

    The scenario itself is a feature where all scenarios are trained on; of the pool it would name nothing new.
    """
    prepared = Prepared.of(workplace, unit.seed)
    store = workplace.store(prepared.unit)
    order = arrival_order(list(prepared.manifests), unit.seed)
    trained_on = order[: unit.initial] if unit.variant == POOLED_BOOSTING else order
    schema = prepared.manifest(workplace, order[0]).data_schema
    started = time.monotonic()
    table = FeatureTable(schema, _statistics(store, [prepared.manifests[name] for name in trained_on]), trained_on)

    def rows(scenarios: Sequence[str], *splits: str) -> tuple[Floats, pl.DataFrame, Floats]:
        """Inputs, categories and labels of all rows that have one."""
        frames = [(name, _frame(store, prepared.manifests[name], splits)) for name in scenarios]
        label = schema.labels[0].name
        seen = [(name, frame.filter(pl.col(label).is_not_null())) for name, frame in frames]
        return (
            np.concatenate([table.matrix(frame, name) for name, frame in seen]),
            pl.concat([table.keys(frame, name) for name, frame in seen]),
            np.concatenate([frame[label].to_numpy().astype(np.float64) for _, frame in seen]),
        )

    inputs, keys, labels = rows(trained_on, "support", "query")
    targets = TargetStatistics(keys, labels, unit.seed) if unit.variant == TARGET_BOOSTING else None
    categorical = list(table.categorical)
    if targets is not None:
        more = targets.training()
        inputs = np.concatenate([inputs, more], axis=1)
        categorical += [False] * more.shape[1]

    def later(scenarios: Sequence[str], split: str) -> tuple[Floats, Floats]:
        found, categories, observed = rows(scenarios, split)
        if targets is not None:
            found = np.concatenate([found, targets.later(categories)], axis=1)
        return found, observed

    model = BoostedTrees(inputs, labels, later(trained_on, "validation"), categorical, unit.seed)
    seconds = time.monotonic() - started
    result: list[Row] = []
    for scenario in order:
        test_inputs, test_labels = later([scenario], "test")
        result.append(
            Row(
                seed=unit.seed,
                scenario=scenario,
                method=unit.variant,
                initial=unit.initial,
                training_rows=len(labels),
                seconds=round(seconds, 3),
                **figures(binary_metrics(model.logits(test_inputs), test_labels)),
            )
        )
    return Outcome(rows=result)


def _statistics(store: Store, manifests: Sequence[str]) -> Statistics:
    found = [load_manifest(store, key) for key in manifests]
    parts = [read_object(store, statistics_key(one.scenario, one.version), Statistics) for one in found]
    return reduce(merge, parts, Statistics())


def _frame(store: Store, manifest_key: str, splits: Sequence[str]) -> pl.DataFrame:
    manifest = load_manifest(store, manifest_key)
    parts = [part.key for part in manifest.parts if part.split in splits]
    frames = [pl.read_parquet(io.BytesIO(store.get(key))) for key in parts]
    if frames:
        return pl.concat(frames)
    labels = {label.name: pl.Float64 for label in manifest.data_schema.labels}
    return empty_rows(manifest.data_schema).with_columns(
        pl.lit(None, kind).alias(name) for name, kind in labels.items()
    )
