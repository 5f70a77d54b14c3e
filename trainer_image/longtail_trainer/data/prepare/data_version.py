"""How a data version is made: select, assign, join bucket by bucket, write parts, then publish, the manifest last.

Everything is made on the local disk before the first object is put, so that the tables have little time to change
between two attempts at one version; and it is made of nothing but the tables and the config, so that an attempt
after a kill puts the same objects and finds its predecessor's equal.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from longtail_api.data_schema import ENTITY
from longtail_api.run_config import PrepareConfig
from longtail_api.store_layout import manifest_key, requests_key, statistics_key
from longtail_api.store_objects import SPLITS, TRAINING_SPLITS, DataPart, Manifest, Split, Statistics
from longtail_store import write_object_if_absent
from longtail_trainer.data.prepare.assignment import (
    Assignment,
    LabelCounts,
    Unlearnable,
    assigned,
    label_counts,
    unlearnable_labels,
)
from longtail_trainer.data.prepare.columns import ROW
from longtail_trainer.data.prepare.joined import joined_rows, values_of_a_row
from longtail_trainer.data.prepare.meeting import Meeting, meeting
from longtail_trainer.data.prepare.parts import SHUFFLE, LocalPart, PartPlan, Scattered, part_plan, write_part
from longtail_trainer.data.prepare.publication import publish_part, publish_whole, published
from longtail_trainer.data.prepare.requests import checked_split, recorded_requests, request_line
from longtail_trainer.data.prepare.selection import (
    Buckets,
    Dated,
    open_tables,
    scenario_entities,
    select_dated,
    select_samples,
)
from longtail_trainer.data.prepare.statistics import merge, part_statistics
from longtail_trainer.running.errors import Retryable
from longtail_trainer.running.step import StepContext

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalVersion:
    """A data version on the local disk."""

    parts: list[LocalPart]
    statistics: Statistics
    requests: Path
    assignment: Assignment
    labels: dict[str, LabelCounts]
    unlearnable: Unlearnable
    meeting: Meeting


def make_data_version(config: PrepareConfig, context: StepContext, now: datetime) -> Manifest:
    """Make and publish the version; its manifest. Raises `DataInvalid` where the tables can't be used."""
    return publish(make_locally(config, context, now), config, context)


def make_locally(config: PrepareConfig, context: StepContext, now: datetime) -> LocalVersion:
    """The whole version in `context.workdir`, nothing of it in the store."""
    schema, progress, folder = config.data_schema, context.progress, context.workdir
    progress.update(0.0, "opening the tables")
    tables = open_tables(config)
    progress.update(0.05, f"selecting the samples of {config.source_key!r}")
    samples = select_samples(tables.pop("samples"), schema, config.source_key, now, folder)
    assignment = assigned(samples, config)
    labels = label_counts(samples, schema, assignment.splits)
    unlearnable = unlearnable_labels(samples, config, assignment.splits, labels)
    entities = scenario_entities(samples)
    dated: dict[str, Dated] = {}
    for name, table in tables.items():
        context.stop.raise_if_requested()
        progress.update(0.15, f"selecting the rows of {len(entities)} entities in {name}")
        dated[name] = select_dated(table, schema, entities, now, folder)
    met = meeting(samples.table, samples.first(ENTITY), len(entities), dated)
    for warning in met.warnings:
        log.warning("%s", warning)
    selected = {name: table.selected for name, table in dated.items()}
    profile = selected.pop("profile", None)
    buckets = Buckets(samples, profile, {name.removeprefix("behaviors/"): table for name, table in selected.items()})
    plan = part_plan(assignment.rows_by_split(), values_of_a_row(schema))
    scattered = _joined(buckets, config, assignment, plan, context)
    asked = checked_split(_by_split(assignment))
    if asked != "test":
        log.warning(
            "%r has no test row: its candidates can't be compared with the version that serves", config.source_key
        )
    parts, statistics, requests = _written(scattered, plan, asked, config, context)
    for name, column in statistics.categorical.items():
        if column.halvings:
            log.warning("%s: too many values; of %g of the rows they are counted", name, 2.0**-column.halvings)
    return LocalVersion(parts, statistics, requests, assignment, labels, unlearnable, met)


def _joined(
    buckets: Buckets, config: PrepareConfig, assignment: Assignment, plan: PartPlan, context: StepContext
) -> Scattered:
    scattered = Scattered(context.workdir / "scattered")
    for number in range(buckets.count):
        context.progress.update(0.3 + 0.4 * number / buckets.count, f"joining {len(assignment.splits)} samples")
        for rows in joined_rows(buckets.read(number), config.data_schema, plan.rows_at_once):
            context.stop.raise_if_requested()
            row = rows[ROW].to_numpy()
            shuffle = assignment.shuffle[row]
            marked = rows.with_columns(pl.Series(SHUFFLE, shuffle, dtype=pl.UInt64))
            scattered.add(marked, plan.numbers(assignment.splits[row], shuffle))
    return scattered


def _written(
    scattered: Scattered, plan: PartPlan, asked: Split, config: PrepareConfig, context: StepContext
) -> tuple[list[LocalPart], Statistics, Path]:
    """The finished parts, the statistics of the training rows, and the file of requests: rows of the split `asked`."""
    parts: list[LocalPart] = []
    statistics = Statistics()
    requests = context.workdir / "requests.jsonl"
    requested, total = 0, sum(plan.parts)
    with requests.open("wb") as lines:
        for split, number, through in plan:
            context.stop.raise_if_requested()
            context.progress.update(0.7 + 0.2 * through / total, f"writing {total} parts")
            rows = scattered.take(through)
            if rows.is_empty():
                continue
            if split in TRAINING_SPLITS:
                statistics = merge(statistics, part_statistics(rows, config.data_schema))
            elif split == asked and requested < config.max_requests:
                # Parts come in shuffled order, so that the first rows are a sample of all.
                some = rows.head(config.max_requests - requested)
                lines.writelines(map(request_line, recorded_requests(some, split, config.data_schema)))
                requested += some.height
            parts.append(write_part(rows.drop(ROW, SHUFFLE), split, number, context.workdir / "parts"))
    return parts, statistics, requests


def publish(version: LocalVersion, config: PrepareConfig, context: StepContext) -> Manifest:
    """Put every object of the version into the store, then its manifest, by which it exists."""
    store, owner, name = context.store, config.owner, config.data_version
    parts: list[DataPart] = []
    for number, part in enumerate(version.parts):
        context.stop.raise_if_requested()
        context.progress.update(0.9 + 0.1 * number / len(version.parts), f"storing {len(version.parts)} parts")
        parts.append(publish_part(store, config, part))
    statistics = version.statistics.to_bytes()
    publish_whole(store, statistics_key(owner, name), statistics)
    publish_whole(store, requests_key(owner, name), version.requests)
    manifest = Manifest(
        scenario=owner,
        version=name,
        source_key=config.source_key,
        data_schema=config.data_schema,
        parts=parts,
        rows={**_by_split(version.assignment)},
        positives=_positives(version.labels, config),
        statistics_sha256=hashlib.sha256(statistics).hexdigest(),
        one_class=version.unlearnable.one_class,
        unobserved=version.unlearnable.unobserved,
        shared_entities=version.assignment.shared_entities,
        entities=version.meeting.entities,
        joined=dict(version.meeting.found),
        unjoined=version.meeting.warnings,
        sampled_columns={
            name: 2.0**-column.halvings for name, column in version.statistics.categorical.items() if column.halvings
        },
        first_time=version.assignment.first_time,
        last_time=version.assignment.last_time,
    )
    if not write_object_if_absent(store, manifest_key(owner, name), manifest):
        stored = published(store, config)
        if stored is None:
            raise Retryable(f"{manifest_key(owner, name)} was removed while it was written")
        manifest = stored
    context.progress.update(1.0, "  ".join(f"{split}: {rows} rows" for split, rows in manifest.rows.items()))
    return manifest


def _by_split(assignment: Assignment) -> dict[Split, int]:
    return dict(zip(SPLITS, assignment.rows_by_split(), strict=True))


def _positives(labels: dict[str, LabelCounts], config: PrepareConfig) -> dict[str, dict[str, int]]:
    binary = [label.name for label in config.data_schema.labels if label.type == "binary"]
    return {split: {name: int(labels[name].positives[code]) for name in binary} for code, split in enumerate(SPLITS)}
