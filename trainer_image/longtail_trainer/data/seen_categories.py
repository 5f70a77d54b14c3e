"""Features without the categories that no training row of a model has."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from longtail_api.store_objects import Features
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.features.columns import (
    TableColumns,
    columns_by_vocabulary,
    sequence_columns,
    static_columns,
)
from longtail_trainer.data.loading import index_type


@dataclass(frozen=True)
class SeenCategories:
    """What a model can have learned of its vocabularies: an embedding of a category without a row stays as random as it
    began, and would score noise. So such a category is unknown to it.

    features: the vocabularies with the seen values alone, in their order; of one that columns share, those that any of
    them has. indices: by column, the new index of each old
    one, 0 (unknown) of what was not seen.
    """

    features: Features
    indices: dict[str, Tensor]

    @classmethod
    def of(cls, features: Features, *rows: EncodedSplit) -> "SeenCategories":
        """rows: all that the model is trained on, encoded with `features`."""
        vocabularies: dict[str, list[str]] = {}
        indices: dict[str, Tensor] = {}
        values: dict[str, list[Tensor]] = {}
        for columns, encoded in (table for some in rows for table in _tables(features, some)):
            for position, column in enumerate(columns.categorical):
                values.setdefault(column, []).append(encoded[:, position])
        for columns in columns_by_vocabulary(features.data_schema):
            vocabulary = features.vocabularies[columns[0]]
            seen = torch.zeros(len(vocabulary) + 1, dtype=torch.bool)
            for some in (one for column in columns for one in values[column]):
                seen[some.unique().to(torch.int64)] = True
            seen[0] = True
            left = [value for number, value in enumerate(vocabulary, start=1) if bool(seen[number])]
            vocabularies |= dict.fromkeys(columns, left)
            indices |= dict.fromkeys(columns, torch.where(seen, seen.cumsum(0) - 1, 0))
        return cls(features.model_copy(update={"vocabularies": vocabularies}), indices)

    def encoded(self, rows: EncodedSplit) -> EncodedSplit:
        """Rows that were encoded with the full features, as these features encode them."""
        static, *sequences = (self._table(columns, encoded) for columns, encoded in _tables(self.features, rows))
        return replace(
            rows,
            categorical=static,
            sequences={
                name: replace(sequence, categorical=categorical)
                for (name, sequence), categorical in zip(rows.sequences.items(), sequences, strict=True)
            },
        )

    def _table(self, columns: TableColumns, encoded: Tensor) -> Tensor:
        result = torch.from_numpy(np.zeros(tuple(encoded.shape), dtype=index_type(columns, self.features)))
        for position, column in enumerate(columns.categorical):
            result[:, position] = self.indices[column][encoded[:, position].to(torch.int64)].to(result.dtype)
        return result


def _tables(features: Features, rows: EncodedSplit) -> list[tuple[TableColumns, Tensor]]:
    """The columns of each table with its indices (rows or events, columns): the static one, then the sequences."""
    schema = features.data_schema
    tables = [(static_columns(schema), rows.categorical)]
    return tables + [(sequence_columns(one), rows.sequences[one.name].categorical) for one in schema.behaviors]
