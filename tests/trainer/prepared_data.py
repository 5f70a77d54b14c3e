"""Prepared scenarios in a store, as `prepare` leaves them, for tests of what reads them."""

import hashlib
import io
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from longtail_api.data_schema import BehaviorSequence, DataSchema, FeatureColumns, LabelColumn
from longtail_api.store_layout import manifest_key, part_key, statistics_key
from longtail_api.store_objects import (
    SPLITS,
    CategoricalStatistics,
    DataPart,
    Features,
    Manifest,
    NumericEncoding,
    NumericStatistics,
    Statistics,
)
from longtail_store import Store
from longtail_trainer.data import loading
from longtail_trainer.data.features import sequence_columns, static_columns

SCHEMA = DataSchema(
    labels=[LabelColumn(name="bought"), LabelColumn(name="spent", type="regression", weight="0.5")],
    context=FeatureColumns(categorical=["slot"], numeric=["hour"]),
    profile=FeatureColumns(categorical=["city"], numeric=["age"]),
    behaviors=[
        BehaviorSequence(name="items", categorical=["kind"], numeric=["price"], max_length=6),
        BehaviorSequence(name="visits", numeric=["seconds"], max_length=4),
    ],
)
"""One of everything; the first sequence is called as an attribute of every torch ModuleDict is."""

FEATURES = Features(
    data_schema=SCHEMA,
    vocabularies={
        "context.slot": ["top", "side"],
        "profile.city": ["Bern", "Rome"],
        "behaviors.items.kind": ["a", "b"],
    },
    numeric={
        name: NumericEncoding(low=-3, high=3, center=0.5, scale=2, edges=[-1.5, -0.6, 0.0, 1.0])
        for name in ("context.hour", "profile.age", "behaviors.items.price", "behaviors.visits.seconds")
    },
    labels={"spent": NumericEncoding(low=0, high=9, center=2, scale=3)},
)


def samples(rows: int, seed: int = 0) -> pl.DataFrame:
    """Prepared samples of `SCHEMA`, nulls in every feature; `bought` follows `age` and the prices seen last."""
    random = np.random.default_rng(seed)

    def sparse(values: list[object]) -> list[object]:
        return [None if random.random() < 0.1 else value for value in values]

    def numbers(count: int) -> list[object]:
        return sparse([float(value) for value in random.normal(size=count)])

    items, visits = random.integers(0, 7, rows), random.integers(0, 5, rows)
    age, prices = numbers(rows), [numbers(count) for count in items]
    logit = np.array([2 * (a or 0) + (p[-1] or 0 if p else 0) for a, p in zip(age, prices, strict=True)])
    bought = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    return pl.DataFrame(
        {
            "entity": [f"e{row // 3}" for row in range(rows)],
            "weight": random.uniform(0.5, 2, rows).tolist(),
            "bought": sparse(bought.tolist()),
            "spent": sparse((logit + 2).tolist()),
            "context.slot": sparse(random.choice(["top", "side", "rare"], rows).tolist()),
            "context.hour": numbers(rows),
            "profile.city": sparse(random.choice(["Bern", "Rome"], rows).tolist()),
            "profile.age": age,
            "behaviors.items.kind": [sparse(random.choice(["a", "b"], count).tolist()) for count in items],
            "behaviors.items.price": prices,
            "behaviors.items:length": items,
            "behaviors.visits.seconds": [numbers(count) for count in visits],
            "behaviors.visits:length": visits,
        },
        schema_overrides={
            "behaviors.items.kind": pl.List(pl.String),
            "behaviors.items.price": pl.List(pl.Float64),
            "behaviors.visits.seconds": pl.List(pl.Float64),
        },
    )


def write_scenario(
    store: Store,
    scenario: str,
    rows: dict[str, int] | None = None,
    seed: int = 0,
    schema: DataSchema = SCHEMA,
    changed: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
) -> str:
    """Write a data version of `scenario`; the key of its manifest. `rows` by split, the support set in two parts."""
    rows = {"support": 120, "query": 40, "validation": 60, "test": 60} | (rows or {})
    version = "v1"
    parts: list[DataPart] = []
    training: list[pl.DataFrame] = []
    for number, split in enumerate(SPLITS):
        frame = changed(samples(rows[split], seed * 10 + number))
        halves = [frame[: len(frame) // 2], frame[len(frame) // 2 :]] if split == "support" else [frame]
        training += [frame] if split in ("support", "query") and rows[split] else []
        for part, half in enumerate(halves):
            if not len(half):
                continue
            stream = io.BytesIO()
            half.write_parquet(stream)
            content = stream.getvalue()
            key = part_key(scenario, version, split, part)
            store.put_if_absent(key, content)
            sha256 = hashlib.sha256(content).hexdigest()
            parts.append(DataPart(key=key, split=split, rows=len(half), sha256=sha256, bytes=len(content)))
    statistics = statistics_of(pl.concat(training) if training else changed(samples(0)), schema).to_bytes()
    store.put_if_absent(statistics_key(scenario, version), statistics)
    manifest = Manifest(
        scenario=scenario,
        version=version,
        source_key=scenario,
        data_schema=schema,
        parts=parts,
        rows=rows,
        positives={},
        statistics_sha256=hashlib.sha256(statistics).hexdigest(),
    )
    key = manifest_key(scenario, version)
    store.put_if_absent(key, manifest.to_bytes())
    return key


def statistics_of(frame: pl.DataFrame, schema: DataSchema) -> Statistics:
    """Exact statistics of prepared rows."""
    tables = [static_columns(schema), *(sequence_columns(sequence) for sequence in schema.behaviors)]

    def values(column: str) -> pl.Series:
        series = frame[column]
        return series.explode(empty_as_null=False, keep_nulls=False) if series.dtype == pl.List else series

    def numeric(column: str) -> NumericStatistics:
        numbers = values(column).drop_nulls().cast(pl.Float64).to_list()[:1024]
        return NumericStatistics(count=len(numbers), sample=numbers, sample_keys=list(range(len(numbers))))

    def categorical(column: str) -> CategoricalStatistics:
        counted = values(column).drop_nulls().value_counts().rows()
        counts = {value: [count] for value, count in counted}
        return CategoricalStatistics(count=sum(count for _, count in counted), counts=counts)

    return Statistics(
        rows=len(frame),
        numeric={column: numeric(column) for table in tables for column in table.numeric},
        categorical={column: categorical(column) for table in tables for column in table.categorical},
        labels={label.name: numeric(label.name) for label in schema.labels},
    )


def parts_read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str] | None]]:
    """Split and columns (None: all) of each part that is read from now on."""
    read: list[tuple[str, list[str] | None]] = []
    read_part = loading._read

    def recorded(store: Store, part: DataPart, columns: list[str] | None = None) -> pl.DataFrame:
        read.append((part.split, columns))
        return read_part(store, part, columns)

    monkeypatch.setattr(loading, "_read", recorded)
    return read
