"""Gradient-boosted trees on prepared rows: the baseline that needs no sequence model and no scenario of its own."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from longtail_api.data_schema import DataSchema, length_column
from longtail_api.store_objects import Statistics
from longtail_trainer.data.features import fit_features
from longtail_trainer.data.features.columns import sequence_columns, static_columns

LARGEST_VOCABULARY = 250
"""scikit-learn takes 255 categories at most."""
COUNTED_VALUES = 12
"""Most frequent values of a sequence's categorical column, each with a count."""
RAW_EVENTS = 16
"""Newest events whose values are columns of their own."""
Floats = NDArray[np.float64]


class BoostedTrees:
    """Trained when made; validation rows end the training early. categorical: which columns of `inputs` are codes."""

    def __init__(
        self, inputs: Floats, labels: Floats, validation: tuple[Floats, Floats], categorical: Sequence[bool], seed: int
    ) -> None:
        self._used = ~np.isnan(inputs).all(axis=0)  # scikit-learn can't bin a column without any value
        self._model = HistGradientBoostingClassifier(
            max_iter=500,
            learning_rate=0.05,
            max_leaf_nodes=15,
            l2_regularization=1.0,
            early_stopping=True,
            n_iter_no_change=30,
            categorical_features=np.array(categorical)[self._used],
            random_state=seed,
        )
        self._model.fit(inputs[:, self._used], labels, X_val=validation[0][:, self._used], y_val=validation[1])

    def logits(self, inputs: Floats) -> Floats:
        """(rows,)"""
        if not len(inputs):
            return np.zeros(0)
        return np.asarray(self._model.decision_function(inputs[:, self._used]), dtype=np.float64)


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
        self.categorical = [is_category for _, is_category in self._columns(empty_rows(schema), "")]

    def matrix(self, frame: pl.DataFrame, scenario: str) -> Floats:
        """(rows, columns) float64; what is missing, or not in the training rows, is NaN."""
        return np.stack([values for values, _ in self._columns(frame, scenario)], axis=1)

    def keys(self, frame: pl.DataFrame, scenario: str) -> pl.DataFrame:
        """The categories of each row, as they are: static ones, those of the newest events, and the scenario."""
        found = [frame[name] for name in static_columns(self.schema).categorical]
        for sequence in self.schema.behaviors:
            found += [_newest(frame[name], 0) for name in sequence_columns(sequence).categorical]
        if len(self.scenarios) > 1:
            found.append(pl.Series("scenario", [scenario] * len(frame), dtype=pl.String))
        return pl.DataFrame([column.cast(pl.String).alias(str(place)) for place, column in enumerate(found)])

    def _columns(self, frame: pl.DataFrame, scenario: str) -> list[tuple[Floats, bool]]:
        static = static_columns(self.schema)
        found = [(self._coded(frame[name], name), True) for name in static.categorical]
        found += [(_numbers(frame[name]), False) for name in static.numeric]
        for sequence in self.schema.behaviors:
            columns = sequence_columns(sequence)
            found.append((_numbers(frame[length_column(sequence.name)]), False))
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


def empty_rows(schema: DataSchema) -> pl.DataFrame:
    """No rows, with every column that a prepared part has."""
    static = static_columns(schema)
    types: dict[str, pl.DataType | type[pl.DataType]] = dict.fromkeys(static.categorical, pl.String)
    types |= dict.fromkeys(static.numeric, pl.Float64)
    for sequence in schema.behaviors:
        columns = sequence_columns(sequence)
        types[length_column(sequence.name)] = pl.Int64
        types |= {name: pl.List(pl.String) for name in columns.categorical}
        types |= {name: pl.List(pl.Float64) for name in columns.numeric}
    return pl.DataFrame(schema=types)
