"""Where each sample of the scenario goes, and what can be learned of what goes to training."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longtail_api.data_schema import ENTITY, SPLIT, TIME, DataSchema
from longtail_api.run_config import PrepareConfig
from longtail_api.store_objects import SPLITS
from longtail_trainer.data.entities import entity_hashes
from longtail_trainer.data.prepare.checks import SPLIT_VALUES
from longtail_trainer.data.prepare.identity import Keys, mixed, occurrences, row_keys
from longtail_trainer.data.prepare.selection import Selected
from longtail_trainer.data.prepare.splits import QUERY, SUPPORT, TEST, VALIDATION, Codes, assigned_splits

log = logging.getLogger(__name__)

_BATCH = 100_000
_TRAINING = [SUPPORT, QUERY]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CODES = dict(zip(SPLIT_VALUES, (SUPPORT, VALIDATION, TEST), strict=True))


@dataclass(frozen=True)
class Assignment:
    """What is held in memory of every sample, by its row number: 9 bytes, whatever its features."""

    splits: Codes
    shuffle: Keys
    """Distinct for all samples, but for collisions of 63 bits; decides order and statistics."""
    shared_entities: int
    """Entities that have rows for training and rows for test."""
    first_time: datetime
    last_time: datetime

    def rows_by_split(self) -> list[int]:
        return np.bincount(self.splits, minlength=len(SPLITS)).tolist()


def assigned(samples: Selected, config: PrepareConfig) -> Assignment:
    """Decide split and place of every sample by its identity (scenario, entity, time), nothing else.

    By the method `entity`, the split by the entity alone, so that it is the same in every scenario.
    """
    by_column = config.data_schema.split.method == "column"
    columns = [ENTITY, TIME, *([SPLIT] if by_column else [])]
    keys: list[Keys] = []
    entities: list[Keys] = []
    times: list[NDArray[np.int64]] = []
    given: list[NDArray[np.int8]] = []
    for batch in _batches(samples, columns):
        keys.append(row_keys(batch, config.source_key))
        entities.append(entity_hashes(batch[ENTITY]))
        times.append(batch[TIME].to_physical().to_numpy())
        if by_column:
            given.append(batch[SPLIT].replace_strict(_CODES, return_dtype=pl.Int8).to_numpy())
    key, entity, time = np.concatenate(keys), np.concatenate(entities), np.concatenate(times)
    rule = config.data_schema.split
    splits = assigned_splits(
        rule,
        entity if rule.method == "entity" else key,
        time,
        np.concatenate(given) if given else None,
        config.query_share,
    )
    return Assignment(
        splits=splits,
        shuffle=mixed(key, occurrences(key).astype(np.uint64) + np.uint64(16)),
        shared_entities=_shared(entity, splits),
        first_time=_EPOCH + timedelta(microseconds=int(time.min())),
        last_time=_EPOCH + timedelta(microseconds=int(time.max())),
    )


def _shared(entities: Keys, splits: Codes) -> int:
    training = np.isin(splits, _TRAINING)
    return len(np.intersect1d(entities[training], entities[splits == TEST]))


def _batches(samples: Selected, columns: list[str]) -> Iterator[pl.DataFrame]:
    yield from (
        samples.scan().select(columns).collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming")
    )


@dataclass(frozen=True)
class LabelCounts:
    """Observed values of one label: by position in `SPLITS`."""

    observed: NDArray[np.int64]
    positives: NDArray[np.int64]


def label_counts(samples: Selected, schema: DataSchema, splits: Codes) -> dict[str, LabelCounts]:
    """Counts of every label, by its name."""
    counts = {label.name: LabelCounts(*np.zeros((2, len(SPLITS)), dtype=np.int64)) for label in schema.labels}
    begin = 0
    for batch in _batches(samples, list(counts)):
        codes = splits[begin : begin + batch.height]
        begin += batch.height
        for name, count in counts.items():
            present = batch[name].is_not_null().to_numpy()
            positive = (batch[name] == 1).fill_null(False).to_numpy()
            count.observed[:] += np.bincount(codes[present], minlength=len(SPLITS))
            count.positives[:] += np.bincount(codes[positive], minlength=len(SPLITS))
    return counts


@dataclass(frozen=True)
class Unlearnable:
    """Labels about which the training rows teach nothing, by name."""

    one_class: list[str]
    """Binary ones that are the same in every training row that observes them."""
    unobserved: list[str]
    """Those that no training row observes."""


def unlearnable_labels(
    samples: Selected, config: PrepareConfig, splits: Codes, counts: dict[str, LabelCounts]
) -> Unlearnable:
    """What can't be learned here; each is warned of.

    It is then learned from other scenarios: a young one may not have had its first positive, nor its first label.
    """
    rows = np.bincount(splits, minlength=len(SPLITS))
    training = int(rows[SUPPORT] + rows[QUERY])
    of = f"of {config.source_key!r}"
    if not training:
        where = f"{samples.table.name} ({samples.table.uri})"
        log.warning(
            "%s: none of the %d rows %s is for training (split method %r)",
            where,
            len(splits),
            of,
            config.data_schema.split.method,
        )
    one_class: list[str] = []
    unobserved: list[str] = []
    for label in config.data_schema.labels:
        observed = int(counts[label.name].observed[_TRAINING].sum())
        positives = int(counts[label.name].positives[_TRAINING].sum())
        if not observed:
            flaw = "is null"
            unobserved.append(label.name)
        elif label.type == "binary" and positives in (0, observed):
            flaw = f"has one class only ({1 if positives else 0}, {observed} observed)"
            one_class.append(label.name)
        else:
            continue
        column = samples.table.column(label.name)
        log.warning(
            "%s %s in the %d training rows %s; this scenario teaches nothing about it, and learns it from others",
            column,
            flaw,
            training,
            of,
        )
    return Unlearnable(one_class, unobserved)
