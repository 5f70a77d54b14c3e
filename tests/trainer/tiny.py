"""Tiny data in the three-table form, with a signal that a model can learn; and run configs to prepare it with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from longtail_api.data_schema import DataSchema
from longtail_api.run_config import PrepareConfig, StoreAddress

START = datetime(2024, 1, 1, tzinfo=UTC)
SCHEMA = DataSchema.model_validate(
    {
        "labels": [{"name": "clicked"}],
        "context": {"categorical": ["slot"], "numeric": ["position"]},
        "profile": {"categorical": ["segment"], "numeric": ["age"]},
        "behaviors": [{"name": "visits", "categorical": ["page"], "numeric": ["seconds"], "maxLength": 8}],
        "split": {"method": "random", "test": "0.2", "validation": "0.1"},
    }
)


def write_tables(
    path: Path, scenarios: int = 3, rows: int = 200, seed: int = 0, events_per_entity: int = 12
) -> DataSchema:
    """Write samples.parquet, profile.parquet and behaviors/visits.parquet below `path`; their schema.

    Scenarios are `s0`, `s1`, …, of `rows` samples each. A click is likelier in the slot `top`, in the segment
    `keen`, and after long visits to the page `shop`.
    """
    rng = np.random.default_rng(seed)
    entities = [f"user-{number}" for number in range(max(4, rows // 2))]
    keen = rng.random(len(entities)) < 0.4
    events = _visits(rng, entities, events_per_entity)
    mean_shop = (
        events.group_by("entity")
        .agg(pl.col("seconds").filter(pl.col("page") == "shop").mean().fill_null(0.0).alias("shop"))
        .sort("entity")
    )
    shop = dict(zip(mean_shop["entity"], mean_shop["shop"], strict=True))
    samples: list[dict[str, Any]] = []
    for scenario in range(scenarios):
        for _ in range(rows):
            who = int(rng.integers(len(entities)))
            slot = str(rng.choice(["top", "side", "bottom"]))
            logit = -0.8 + 1.6 * (slot == "top") + 1.5 * keen[who] + 0.5 * (shop[entities[who]] - 1.0) + 0.2 * scenario
            samples.append(
                {
                    "scenario": f"s{scenario}",
                    "entity": entities[who],
                    "time": START + timedelta(seconds=int(rng.integers(15 * 86_400, 30 * 86_400))),
                    "clicked": int(rng.random() < 1 / (1 + np.exp(-logit))),
                    "slot": slot,
                    "position": float(rng.integers(1, 10)),
                }
            )
    profile = pl.DataFrame(
        {
            "entity": entities,
            "time": [START] * len(entities),
            "segment": np.where(keen, "keen", "idle"),
            "age": rng.integers(18, 80, len(entities)),
        }
    )
    write_three_tables(path, pl.DataFrame(samples), profile, {"visits": events})
    return SCHEMA


def _visits(rng: np.random.Generator, entities: list[str], per_entity: int) -> pl.DataFrame:
    count = len(entities) * per_entity
    return pl.DataFrame(
        {
            "entity": rng.choice(entities, count),
            "time": [START + timedelta(seconds=int(second)) for second in rng.integers(0, 30 * 86_400, count)],
            "page": rng.choice(["shop", "news", "help"], count),
            "seconds": rng.exponential(1.0, count),
        }
    )


def write_three_tables(
    path: Path, samples: pl.DataFrame, profile: pl.DataFrame | None, behaviors: dict[str, pl.DataFrame]
) -> None:
    """The given tables where `prepare_config` looks for them."""
    (path / "behaviors").mkdir(parents=True, exist_ok=True)
    samples.write_parquet(path / "samples.parquet")
    if profile is not None:
        profile.write_parquet(path / "profile.parquet")
    for name, events in behaviors.items():
        events.write_parquet(path / "behaviors" / f"{name}.parquet")


def prepare_config(
    tables: Path, store: Path | StoreAddress, schema: DataSchema = SCHEMA, source_key: str = "s0", **changes: Any
) -> PrepareConfig:
    """A config of `prepare` for the tables below `tables` and a store (a folder, or an address)."""
    values: dict[str, Any] = {
        "store": StoreAddress(uri=store.as_uri()) if isinstance(store, Path) else store,
        "identity": "prepare-1",
        "owner": f"shop.{source_key}.0a1b2c3d",
        "run": 1,
        "threads": 1,
        "schema": schema,
        "samples": (tables / "samples.parquet").as_uri(),
        "profile": (tables / "profile.parquet").as_uri(),
        "behaviors": {
            sequence.name: (tables / "behaviors" / f"{sequence.name}.parquet").as_uri() for sequence in schema.behaviors
        },
        "source_key": source_key,
        "data_version": "v1",
        **changes,
    }
    return PrepareConfig(**values)
