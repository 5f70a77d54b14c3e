"""Small features and encoded samples, for tests of models."""

import torch

from longtail_api.data_schema import BehaviorSequence, DataSchema, FeatureColumns, LabelColumn
from longtail_api.store_objects import Features, NumericEncoding
from longtail_trainer.data.encoded import EncodedSequence, EncodedSplit, offsets_of
from longtail_trainer.data.features import sequence_columns, static_columns


def a_schema(sequences: int = 1, labels: int = 1, static: bool = True, max_length: int = 6) -> DataSchema:
    """Context, profile and behavior sequences of both feature types; the second label is a regression."""
    names = ["clicks", "visits"][:sequences]
    return DataSchema(
        labels=[LabelColumn(name="bought"), LabelColumn(name="amount", type="regression")][:labels],
        context=FeatureColumns(categorical=["slot"], numeric=["hour"] if static else []),
        profile=FeatureColumns(categorical=["city"] if static else [], numeric=["age", "income"] if static else []),
        behaviors=[
            BehaviorSequence(name=name, categorical=["kind"], numeric=["price", "seconds"], max_length=max_length)
            for name in names
        ],
    )


def a_schema_of_items(names: list[str] | None = None, labels: int = 1) -> DataSchema:
    """A candidate item in the context, and events of items: clicks of one each, and views of one after another.

    names: the columns that share the vocabulary of items; all of them by default, none where the list is empty.
    """
    items = ["context.item", "behaviors.clicks.item", "behaviors.views.item", "behaviors.views.next"]
    shared = items if names is None else names
    return DataSchema(
        labels=[LabelColumn(name="bought"), LabelColumn(name="amount", type="regression")][:labels],
        context=FeatureColumns(categorical=["slot", "item"], numeric=["hour"]),
        profile=FeatureColumns(categorical=["city"], numeric=["age"]),
        behaviors=[
            BehaviorSequence(name="clicks", categorical=["kind", "item"], numeric=["price"], max_length=6),
            BehaviorSequence(name="views", categorical=["item", "next"], numeric=["seconds"], max_length=4),
        ],
        shared_vocabularies={"items": shared} if shared else {},
    )


def features_of(schema: DataSchema) -> Features:
    """A vocabulary of three for every categorical column; numbers run from −2 to 3."""
    tables = [static_columns(schema), *(sequence_columns(sequence) for sequence in schema.behaviors)]
    return Features(
        data_schema=schema,
        vocabularies={column: ["a", "b", "c"] for table in tables for column in table.categorical},
        numeric={
            column: NumericEncoding(low=-2, high=3, center=0.5, scale=1.5, edges=[-1.5, -0.25, 0.5, 1.6])
            for table in tables
            for column in table.numeric
        },
        labels={
            label.name: NumericEncoding(low=0, high=9, center=4, scale=2)
            for label in schema.labels
            if label.type == "regression"
        },
    )


def samples(features: Features, count: int, seed: int = 0) -> EncodedSplit:
    """Random samples. The labels follow from the sum of the first event numbers, so there is something to learn."""
    schema = features.data_schema
    generator = torch.Generator().manual_seed(seed)
    static = static_columns(schema)
    sequences: dict[str, EncodedSequence] = {}
    score = torch.zeros(count)
    for sequence in schema.behaviors:
        columns = sequence_columns(sequence)
        lengths = torch.randint(0, sequence.max_length + 1, (count,), generator=generator)
        events = int(lengths.sum())
        numeric = torch.randn(events, len(columns.numeric), generator=generator)
        sequences[sequence.name] = EncodedSequence(
            torch.randint(0, 4, (events, len(columns.categorical)), generator=generator, dtype=torch.int32),
            numeric,
            offsets_of(lengths),
        )
        score.index_add_(0, torch.repeat_interleave(torch.arange(count), lengths), numeric[:, 0])
    numbers = torch.randn(count, len(static.numeric), generator=generator)
    if static.numeric:
        score += numbers[:, 0]
    labels = torch.stack([(score > 0).float(), score], dim=1)[:, : len(schema.labels)]
    return EncodedSplit(
        torch.randint(0, 4, (count, len(static.categorical)), generator=generator, dtype=torch.int32),
        torch.cat([numbers, torch.zeros_like(numbers)], dim=1),
        sequences,
        labels,
        torch.ones_like(labels, dtype=torch.bool),
        torch.ones(count),
        torch.arange(count) // 3,
    )
