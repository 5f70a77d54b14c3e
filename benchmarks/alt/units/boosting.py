"""boosting: gradient-boosted trees on profile, aggregates and raw sequence, trained once for all scenarios."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

import io
import time
from collections.abc import Sequence
from functools import reduce

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.alt.methods import POOLED_BOOSTING
from benchmarks.alt.rows import Outcome, Row, Unit, figures
from benchmarks.alt.units.repetition import arrival_order
from benchmarks.alt.units.workplace import Prepared, Workplace
from longtail_api.data_schema import DataSchema
from longtail_api.store_layout import statistics_key
from longtail_api.store_objects import Statistics
from longtail_store import Store, read_object
from longtail_trainer.data.features import fit_features
from longtail_trainer.data.features.columns import sequence_columns, static_columns
from longtail_trainer.data.loading import load_manifest
from longtail_trainer.data.prepare.statistics import merge
from longtail_trainer.training.evaluation import binary_metrics

LARGEST_VOCABULARY = 250
"""scikit-learn takes 255 categories at most."""
COUNTED_VALUES = 12
"""Most frequent values of a sequence's categorical column, each with a count."""
RAW_EVENTS = 16
"""Newest events whose values are columns of their own."""
Floats = NDArray[np.float64]


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

    def rows(scenarios: Sequence[str], *splits: str) -> tuple[Floats, Floats]:
        frames = [(name, _frame(store, prepared.manifests[name], splits)) for name in scenarios]
        label = schema.labels[0].name
        seen = [(name, frame.filter(pl.col(label).is_not_null())) for name, frame in frames]
        return (
            np.concatenate([table.matrix(frame, name) for name, frame in seen]),
            np.concatenate([frame[label].to_numpy().astype(np.float64) for _, frame in seen]),
        )

    inputs, labels = rows(trained_on, "support", "query")
    validation = rows(trained_on, "validation")
    used = ~np.isnan(inputs).all(axis=0)  # scikit-learn can't bin a column without any value
    model = HistGradientBoostingClassifier(
        max_iter=500,
        learning_rate=0.05,
        max_leaf_nodes=15,
        l2_regularization=1.0,
        early_stopping=True,
        n_iter_no_change=30,
        categorical_features=np.array(table.categorical)[used],
        random_state=unit.seed,
    )
    model.fit(inputs[:, used], labels, X_val=validation[0][:, used], y_val=validation[1])
    seconds = time.monotonic() - started
    result: list[Row] = []
    for scenario in order:
        test_inputs, test_labels = rows([scenario], "test")
        margins = model.decision_function(test_inputs[:, used]) if len(test_labels) else np.zeros(0)
        result.append(
            Row(
                seed=unit.seed,
                scenario=scenario,
                method=unit.variant,
                initial=unit.initial,
                training_rows=len(labels),
                seconds=round(seconds, 3),
                **figures(binary_metrics(np.asarray(margins, dtype=np.float64), test_labels)),
            )
        )
    return Outcome(rows=result)


class FeatureTable:
    """Prepared rows as one matrix: static columns, aggregates of each sequence, its newest events, the scenario."""

    def __init__(self, schema: DataSchema, statistics: Statistics, scenarios: Sequence[str]) -> None:
        self.schema = schema
        features = fit_features(schema, statistics)
        self.codes = {
            name: {value: number for number, value in enumerate(values[:LARGEST_VOCABULARY])}
            for name, values in features.vocabularies.items()
        }
        self.scenarios = {name: number for number, name in enumerate(sorted(scenarios)[:LARGEST_VOCABULARY])}
        self.categorical = [is_category for _, is_category in self._columns(_empty(schema), "")]

    def matrix(self, frame: pl.DataFrame, scenario: str) -> Floats:
        """(rows, columns) float64; what is missing, or not in the training rows, is NaN."""
        return np.stack([values for values, _ in self._columns(frame, scenario)], axis=1)

    def _columns(self, frame: pl.DataFrame, scenario: str) -> list[tuple[Floats, bool]]:
        static = static_columns(self.schema)
        found = [(self._coded(frame[name], name), True) for name in static.categorical]
        found += [(_numbers(frame[name]), False) for name in static.numeric]
        for sequence in self.schema.behaviors:
            columns = sequence_columns(sequence)
            found.append((_numbers(frame[f"behaviors.{sequence.name}.length"]), False))
            for name in columns.numeric:
                events = frame[name].list
                found += [(_numbers(one), False) for one in (events.mean(), events.min(), events.max(), events.sum())]
                found += [(_numbers(events.std()), False)]
                found += [(_numbers(_newest(frame[name], place)), False) for place in range(RAW_EVENTS)]
            for name in columns.categorical:
                for value in list(self.codes[name])[:COUNTED_VALUES]:
                    found.append((_numbers(frame[name].list.count_matches(value)), False))
                found += [(self._coded(_newest(frame[name], place), name), True) for place in range(RAW_EVENTS)]
        known = self.scenarios.get(scenario, np.nan) if len(self.scenarios) > 1 else np.nan
        found.append((np.full(len(frame), known), True))
        return found

    def _coded(self, column: pl.Series, name: str) -> Floats:
        return _numbers(column.cast(pl.String).replace_strict(self.codes[name], default=None, return_dtype=pl.Float64))


def _newest(column: pl.Series, place: int) -> pl.Series:
    """The event `place` before the newest one, null where there are fewer."""
    return column.list.get(-1 - place, null_on_oob=True)


def _numbers(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64)


def _empty(schema: DataSchema) -> pl.DataFrame:
    """No rows, with every column that a prepared part has."""
    static = static_columns(schema)
    types: dict[str, pl.DataType | type[pl.DataType]] = dict.fromkeys(static.categorical, pl.String)
    types |= dict.fromkeys(static.numeric, pl.Float64)
    for sequence in schema.behaviors:
        columns = sequence_columns(sequence)
        types[f"behaviors.{sequence.name}.length"] = pl.Int64
        types |= {name: pl.List(pl.String) for name in columns.categorical}
        types |= {name: pl.List(pl.Float64) for name in columns.numeric}
    return pl.DataFrame(schema=types)


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
    return _empty(manifest.data_schema).with_columns(pl.lit(None, kind).alias(name) for name, kind in labels.items())
