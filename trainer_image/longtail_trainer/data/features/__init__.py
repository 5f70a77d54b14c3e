"""Features: how raw values become numbers, fitted once on the pool and used by every model of a generation."""

from longtail_trainer.data.features.columns import TableColumns, sequence_columns, static_columns
from longtail_trainer.data.features.coverage import coverage
from longtail_trainer.data.features.encoding import encode_categorical, encode_label, encode_numeric
from longtail_trainer.data.features.fitting import fit_features

__all__ = [
    "TableColumns",
    "coverage",
    "encode_categorical",
    "encode_label",
    "encode_numeric",
    "fit_features",
    "sequence_columns",
    "static_columns",
]
