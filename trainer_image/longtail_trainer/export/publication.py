"""A light model into the store: `model.onnx`, then `model.json`. Whoever sees the second finds the first."""

import hashlib
from dataclasses import dataclass
from typing import Any

from longtail_api.store_layout import model_card_key, model_key, requests_key
from longtail_api.store_objects import LightFamily, Manifest, Metric, ModelCard
from longtail_store import ObjectMissing, Store, read_object, write_object_if_absent
from longtail_trainer.export.graph import export
from longtail_trainer.export.latency import MEASUREMENTS, latency_within, measure_latency
from longtail_trainer.export.parity import check_parity
from longtail_trainer.export.signature import inputs_of, outputs_of
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.running.errors import BudgetUnreachable


@dataclass(frozen=True, kw_only=True)
class Release:
    """What is told of a model beside what can be seen of it. The last two: where the method has a heavy model."""

    scenario: str
    version: str
    spec: LightFamily
    manifest: Manifest
    """Of the data that it was trained on."""
    metrics: dict[str, dict[str, Metric]]
    """By split or model."""
    agnostic_version: int | None = None
    heavy_flops: int | None = None


def publish_model(
    store: Store,
    model: ServedModel,
    release: Release,
    *,
    max_latency_milliseconds: float | None = None,
    parity_tolerance: float = 1e-4,
) -> ModelCard:
    """Export a trained model, gate it, and put graph and card; what an earlier attempt put stands.

    Raises `BudgetUnreachable` where one prediction takes longer than the limit, and `ParityFailed`; then nothing was
    written.
    """
    content = export(model)
    latency = latency_within(max_latency_milliseconds, lambda: measure_latency(model, content))
    if max_latency_milliseconds is not None and latency.p99_milliseconds > max_latency_milliseconds:
        raise BudgetUnreachable(
            f"budget.maxLatencyMilliseconds: one prediction takes {latency.p99_milliseconds:.3f} ms (p99, one thread, "
            f"batch 1, on this machine, the lowest of {MEASUREMENTS} measurements), above {max_latency_milliseconds:g} "
            "ms: raise the limit, or search again with a lower maxFlops"
        )
    graph = publish_graph(store, release.scenario, release.version, model, content, parity_tolerance)
    schema = model.features.data_schema
    card = ModelCard(
        scenario=release.scenario,
        version=release.version,
        sha256=graph.sha256,
        bytes=len(graph.content),
        inputs=inputs_of(model),
        outputs=outputs_of(model),
        max_lengths={
            f"behaviors.{sequence.name}": sequence.max_length
            for sequence in schema.behaviors
            if sequence.name in model.columns.sequences
        },
        labels=[label.name for label in schema.labels],
        data_version=release.manifest.version,
        agnostic_version=release.agnostic_version,
        model=release.spec,
        flops=model.flops(),
        heavy_flops=release.heavy_flops,
        metrics=release.metrics,
        p50_milliseconds=latency.p50_milliseconds,
        p99_milliseconds=latency.p99_milliseconds,
        parity=graph.parity,
        requests_key=requests_key(release.manifest.scenario, release.manifest.version),
    )
    return publish_card(store, card)


def outputs_of_card(card: ModelCard) -> dict[str, Any]:
    """What a step's result says of the model that it published: what serving pins, and its cost."""
    return {
        "lightVersion": card.version,
        "modelKey": model_key(card.scenario, card.version),
        "modelSha256": card.sha256,
        "cardKey": model_card_key(card.scenario, card.version),
        "flops": card.flops,
        **({} if card.heavy_flops is None else {"heavyFlops": card.heavy_flops}),
    }


def metrics_of_card(card: ModelCard) -> dict[str, dict[str, Metric]]:
    """Its figures, and how long one prediction takes."""
    latency = {"p50Milliseconds": card.p50_milliseconds, "p99Milliseconds": card.p99_milliseconds}
    return {**card.metrics, "latency": {name: Metric(value=value) for name, value in latency.items()}}


@dataclass(frozen=True)
class PublishedGraph:
    """The graph as the store has it. parity: its largest difference from the trained model."""

    key: str
    content: bytes
    sha256: str
    parity: float


def publish_graph(
    store: Store, scenario: str, version: str, model: ServedModel, content: bytes, tolerance: float
) -> PublishedGraph:
    """Put the exported graph, after the parity gate. One that an earlier attempt put stands, and is gated instead.

    Raises `ParityFailed`; then nothing was written.
    """
    key = model_key(scenario, version)
    parity = check_parity(model, content, tolerance)
    if not store.put_if_absent(key, content):
        stored = store.get(key)
        if stored != content:
            # Another build of the exporter. The weights are those saved with the run, so the answers must agree.
            content, parity = stored, check_parity(model, stored, tolerance)
    return PublishedGraph(key, content, hashlib.sha256(content).hexdigest(), parity)


def publish_card(store: Store, card: ModelCard) -> ModelCard:
    """Put the card; the one an earlier attempt put stands and is returned."""
    key = model_card_key(card.scenario, card.version)
    return card if write_object_if_absent(store, key, card) else read_object(store, key, ModelCard)


def published_card(store: Store, scenario: str, version: str) -> ModelCard | None:
    """The card of this version; None where it is not published."""
    try:
        return read_object(store, model_card_key(scenario, version), ModelCard)
    except ObjectMissing:
        return None
