"""Prepared Parquet parts into encoded samples. One part is decoded at a time, so memory is what the result takes."""
# pyright: reportUnknownArgumentType=false

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail_api.data_schema import ENTITY, WEIGHT, BehaviorSequence, DataSchema, earlier_length_column, length_column
from longtail_api.store_layout import features_key, statistics_key
from longtail_api.store_objects import DataPart, Features, Manifest, Split, Statistics
from longtail_store import ObjectMissing, Store, parse_object, read_object
from longtail_trainer.data.encoded import EncodedSequence, EncodedSplit, concatenate, offsets_of
from longtail_trainer.data.entities import Keys, entity_hashes
from longtail_trainer.data.features.columns import TableColumns, sequence_columns, static_columns
from longtail_trainer.data.features.encoding import encode_categorical, encode_label, encode_numeric
from longtail_trainer.running.errors import DataInvalid


def load_manifest(store: Store, key: str) -> Manifest:
    """Raises `DataInvalid` where no data version has this manifest."""
    try:
        return read_object(store, key, Manifest)
    except ObjectMissing as error:
        raise DataInvalid(f"{key}: no such data version in the store; run prepare again") from error


def load_features(store: Store, sha256: str) -> Features:
    """The features of a generation, by the hash that its versions name."""
    key = features_key(sha256)
    content = checked_content(store, key, sha256, "restore the object, or begin a new generation of the heavy model")
    return parse_object(content, Features, key)


def load_statistics(store: Store, manifest: Manifest) -> Statistics:
    """The statistics of a data version's training rows. Raises `DataInvalid` where they are missing or damaged."""
    key = statistics_key(manifest.scenario, manifest.version)
    content = checked_content(store, key, manifest.statistics_sha256, "prepare the data again, as a new version")
    return parse_object(content, Statistics, key)


def checked_content(store: Store, key: str, sha256: str, remedy: str) -> bytes:
    """An object's bytes, which must have this hash. Raises `DataInvalid` that ends in the remedy."""
    try:
        content = store.get(key)
    except ObjectMissing as error:
        raise DataInvalid(f"{key}: is missing; {remedy}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataInvalid(f"{key}: doesn't match its hash; {remedy}")
    return content


def load_split(store: Store, manifest: Manifest, split: Split, features: Features) -> EncodedSplit:
    """All samples of one split; none where the split is empty. Raises `DataInvalid` for a part that is damaged."""
    return concatenate(encoded_parts(store, [manifest], [split], features))


def encoded_parts(
    store: Store, manifests: Iterable[Manifest], splits: Sequence[Split], features: Features
) -> Iterator[EncodedSplit]:
    """The samples of these splits of these scenarios, in this order, one part at a time; an empty one to begin with.

    For `concatenate`, which so never has them in memory twice. Raises `DataInvalid` for a part that is damaged.
    """
    yield empty_split(features)
    for manifest in manifests:
        for split in splits:
            for part in manifest.parts:
                if part.split == split:
                    yield encoded_part(store, part, features)


def encoded_part(store: Store, part: DataPart, features: Features) -> EncodedSplit:
    """The samples of one part. Raises `DataInvalid` where it is damaged."""
    return encode_frame(_read(store, part), features)


def entities_of(store: Store, manifest: Manifest, splits: Sequence[Split]) -> Keys:
    """The hash of each entity that has rows in these splits, once. Of the rows, nothing else is read."""
    found = [np.zeros(0, dtype=np.uint64)]
    for part in manifest.parts:
        if part.split in splits:
            found.append(np.unique(entity_hashes(_read(store, part, [ENTITY])[ENTITY])))
    return np.unique(np.concatenate(found))


def empty_split(features: Features) -> EncodedSplit:
    """No samples, in the shape of these features."""
    schema = features.data_schema
    static = static_columns(schema)
    sequences: dict[str, EncodedSequence] = {}
    for sequence in schema.behaviors:
        columns = sequence_columns(sequence)
        sequences[sequence.name] = EncodedSequence(
            _no_indices(columns, features),
            torch.zeros(0, len(columns.numeric)),
            torch.zeros(1, dtype=torch.int64),
        )
    return EncodedSplit(
        _no_indices(static, features),
        torch.zeros(0, 2 * len(static.numeric)),
        sequences,
        torch.zeros(0, len(schema.labels)),
        torch.zeros(0, len(schema.labels), dtype=torch.bool),
        torch.zeros(0),
        torch.zeros(0, dtype=torch.int64),
    )


def encode_frame(frame: pl.DataFrame, features: Features) -> EncodedSplit:
    """Encode prepared samples: the columns of `Manifest`, in any order; or requests, without entity and weight."""
    schema = features.data_schema
    labels, observed = _encode_labels(frame, schema, features)
    weight = frame[WEIGHT].cast(pl.Float32).fill_null(1.0) if WEIGHT in frame.columns else None
    return EncodedSplit(
        *_encode_table(frame, static_columns(schema), features),
        {sequence.name: _encode_sequence(frame, sequence, features) for sequence in schema.behaviors},
        labels,
        observed,
        torch.ones(len(frame)) if weight is None else torch.from_numpy(weight.to_numpy().copy()),
        _entities(frame),
    )


def _entities(frame: pl.DataFrame) -> Tensor:
    if ENTITY not in frame.columns:
        return torch.zeros(len(frame), dtype=torch.int64)
    return torch.from_numpy(entity_hashes(frame[ENTITY]).astype(np.int64))


def _read(store: Store, part: DataPart, columns: list[str] | None = None) -> pl.DataFrame:
    content = checked_content(store, part.key, part.sha256, "prepare the data again, as a new version")
    return pl.read_parquet(io.BytesIO(content), columns=columns)


def _encode_table(frame: pl.DataFrame, columns: TableColumns, features: Features) -> tuple[Tensor, Tensor]:
    """Categorical (rows, columns), of their `index_type`; numeric (rows, 2 × columns) float32: values, then indicators
    of null."""
    numbers = [encode_numeric(frame[name], features.numeric[name]) for name in columns.numeric]
    numeric = [value for value, _ in numbers] + [missing for _, missing in numbers]
    return _encode_categories(frame, columns, features), _stack(numeric, len(frame), np.float32)


def _encode_categories(frame: pl.DataFrame, columns: TableColumns, features: Features) -> Tensor:
    indices = [encode_categorical(frame[name], features.vocabularies[name]) for name in columns.categorical]
    return _stack(indices, len(frame), index_type(columns, features))


def _no_indices(columns: TableColumns, features: Features) -> Tensor:
    return torch.from_numpy(np.zeros((0, len(columns.categorical)), dtype=index_type(columns, features)))


def index_type(columns: TableColumns, features: Features) -> type[np.signedinteger]:
    """The smallest type for all indices of a table: events are many, and most vocabularies small."""
    largest = max((len(features.vocabularies[name]) for name in columns.categorical), default=0)
    return next(kind for kind in (np.int8, np.int16, np.int32) if largest <= np.iinfo(kind).max)


def _encode_sequence(frame: pl.DataFrame, sequence: BehaviorSequence, features: Features) -> EncodedSequence:
    name = length_column(sequence.name)
    lengths = frame[name if name in frame.columns else earlier_length_column(sequence.name)].cast(pl.Int64).fill_null(0)
    columns = sequence_columns(sequence)
    events = pl.DataFrame(
        {
            name: frame[name].explode(empty_as_null=False, keep_nulls=False)
            for name in (*columns.categorical, *columns.numeric)
        }
    )
    total = int(lengths.sum())
    if len(events) != total:
        raise DataInvalid(
            f"behaviors.{sequence.name}: the lists hold {len(events)} events, their lengths say {total}; "
            "prepare the data again"
        )
    numbers = [encode_numeric(events[name], features.numeric[name]) for name in columns.numeric]
    return EncodedSequence(
        _encode_categories(events, columns, features),
        _stack([np.where(missing > 0, np.float32(np.nan), value) for value, missing in numbers], total, np.float32),
        offsets_of(torch.from_numpy(lengths.to_numpy().copy())),
    )


def _encode_labels(frame: pl.DataFrame, schema: DataSchema, features: Features) -> tuple[Tensor, Tensor]:
    values: list[NDArray[np.float32]] = []
    observed: dict[str, NDArray[np.bool_]] = {}
    for label in schema.labels:
        value, seen = encode_label(frame[label.name], features.labels.get(label.name))
        values.append(value)
        observed[label.name] = seen
    for label in schema.labels:
        if label.observed_when is not None:
            condition = frame[label.observed_when].cast(pl.Float64).eq(1.0).fill_null(False).to_numpy()
            observed[label.name] = observed[label.name] & condition
    return (
        _stack(values, len(frame), np.float32) * (seen := _stack(list(observed.values()), len(frame), np.bool_)),
        seen,
    )


def _stack(columns: Sequence[NDArray[np.generic]], rows: int, kind: type) -> Tensor:
    """(rows, columns), contiguous; also for no columns at all."""
    if not columns:
        return torch.from_numpy(np.zeros((rows, 0), dtype=kind))
    return torch.from_numpy(np.ascontiguousarray(np.stack(columns, axis=1), dtype=kind))
