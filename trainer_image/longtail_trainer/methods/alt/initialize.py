"""initialize: the pool's data in, the first version of the agnostic heavy model's generation out (ALT III-B, Fig. 4).

Outputs of the result: `agnosticVersion`, `generation`, `checkpointSha256`, `featuresSha256`, `heavyFlops`; and where
the model was searched for (`initialization.search`), `initialization`: which way won, and both figures.
`sharedEntities`: entities that are trained on in one scenario of the pool and tested in another.
Metrics: `validation`, pooled over all validation rows of the pool, and its `scenarioAverageAuc`. Those of each
scenario stand in the version's record (`auc/<scenario>`). Of test rows nothing but their entities is read, to be
counted. Picture: `learning-curves`.
"""

import hashlib
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from longtail_api.data_schema import DataSchema
from longtail_api.methods.alt import InitializeConfig
from longtail_api.store_layout import features_key
from longtail_api.store_objects import (
    TRAINING_SPLITS,
    AltHeavy,
    Checkpoint,
    Features,
    Manifest,
    Metric,
    Split,
    Statistics,
    StepResult,
    Version,
)
from longtail_store import Chain, Store
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.entities import shared_between_scenarios
from longtail_trainer.data.features import fit_features
from longtail_trainer.data.loading import encoded_parts, entities_of, load_manifest, load_split, load_statistics
from longtail_trainer.data.prepare.statistics import merge
from longtail_trainer.data.rows import labels_alone, one_class
from longtail_trainer.methods.alt.first_version import commit_first, first_of_generation
from longtail_trainer.methods.alt.fresh import fresh_heavy, pooled_training
from longtail_trainer.methods.alt.initialization import Chosen, PoolRows, as_given, choose
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.models.weights import save_weights
from longtail_trainer.pictures import Kept, learning_curves, loss_curves, publish, published
from longtail_trainer.running.epochs import epoch_report
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid
from longtail_trainer.running.step import StepContext
from longtail_trainer.training.device import device_of
from longtail_trainer.training.evaluation import evaluate, primary_metric
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.supervised import TrainingOutcome, train

log = logging.getLogger(__name__)

SCENARIO_AVERAGE = "scenarioAverageAuc"


def run(config: InitializeConfig, context: StepContext) -> StepResult:
    """Train on the pool's support and query rows, stop early by its validation rows, commit.

    Raises `DataInvalid` where prepared data is missing, damaged, or can't teach the first label, and `ConfigInvalid`
    where the pool was prepared with another schema or the generation has begun with another one.
    """
    chain = Chain(context.store)
    version = context.ranks.of_first(lambda: first_of_generation(chain, config.generation))
    if version is None:
        version = _trained(chain, config, context)
    if version.schema_hash != config.schema_hash:
        raise ConfigInvalid(
            f"generation {config.generation} began with version {version.number} of another schema or architecture; "
            f"use generation {config.generation + 1}"
        )
    return context.result(
        outputs={
            "agnosticVersion": version.number,
            "generation": version.generation,
            "checkpointSha256": version.checkpoint.sha256,
            "featuresSha256": version.features_sha256,
            "heavyFlops": version.flops,
            "sharedEntities": version.shared_entities,
            **({"initialization": version.initialization.to_json_dict()} if version.initialization is not None else {}),
        },
        metrics={
            "validation": {name: Metric(value=value) for name, value in version.metrics.items() if "/" not in name}
        },
        flops=version.flops,
        pictures=context.ranks.of_first(lambda: published(context.store, context.prefix)),
    )


def _trained(chain: Chain, config: InitializeConfig, context: StepContext) -> Version:
    """Train the generation's first model and commit it. A search before it is rank 0's; all ranks train."""
    ranks = context.ranks
    context.progress.update(0.01, f"loading {len(config.pool)} scenarios")
    manifests = [load_manifest(context.store, key) for key in config.pool]
    for key, manifest in zip(config.pool, manifests, strict=True):
        if manifest.data_schema.labels != config.data_schema.labels or not _same_columns(manifest, config):
            raise ConfigInvalid(f"{key}: was prepared with another schema; prepare the scenario again")
    statistics = reduce(merge, (load_statistics(context.store, manifest) for manifest in manifests), Statistics())
    features = fit_features(config.data_schema, statistics)
    content = features.to_bytes()
    features_sha256 = hashlib.sha256(content).hexdigest()
    ranks.of_first(lambda: context.store.put_if_absent(features_key(features_sha256), content))

    rows = _rows(context.store, manifests, features)
    search = config.search
    chosen = ranks.of_first(lambda: choose(config, search, context, features, rows)) if search else as_given(config)
    seed = config.seed + chosen.training.seed
    model = fresh_heavy(features, chosen.encoder, chosen.architecture, chosen.cell, seed, device_of(context))
    outcome = train(
        model,
        rows.training,
        concatenate(rows.validations),
        LabelLosses.of(config.data_schema),
        pooled_training(chosen.training, seed),
        context.resume,
        context.stop,
        epoch_report(context.progress, chosen.training.epochs),
        ranks,
    )
    validations = {manifest.scenario: split for manifest, split in zip(manifests, rows.validations, strict=True)}
    return ranks.of_first(lambda: _committed(chain, config, context, features, chosen, model, outcome, validations))


def _committed(
    chain: Chain,
    config: InitializeConfig,
    context: StepContext,
    features: Features,
    chosen: Chosen,
    model: RankingModel,
    outcome: TrainingOutcome,
    validations: Mapping[str, EncodedSplit],
) -> Version:
    """Commit the trained model with its figures; the generation's first version, which another attempt may have
    committed before."""

    def curves() -> str:
        kept = Kept(outcome.best_epoch, outcome.best_loss)
        return learning_curves("Learning curves of the agnostic model", loss_curves(context.progress.records()), kept)

    publish(context.store, context.prefix, "learning-curves", curves)
    figures = {scenario: judged(model, split) for scenario, split in validations.items()}
    metrics = pool_metrics(features, figures)
    weights = Path(context.workdir, "weights.safetensors")
    save_weights(model, weights)
    shared = _shared_entities(context.store, [load_manifest(context.store, key) for key in config.pool])
    context.progress.update(0.97, "committing the version")

    def record(number: int, nonce: str, checkpoint: Checkpoint, before: Version | None) -> Version:
        return Version(
            number=number,
            kind="initial",
            generation=config.generation,
            checkpoint=checkpoint,
            features_sha256=hashlib.sha256(features.to_bytes()).hexdigest(),
            model=AltHeavy(encoder=chosen.encoder, architecture=chosen.architecture, cell=chosen.cell),
            initialization=chosen.outcome,
            schema_hash=config.schema_hash,
            pool=config.pool,
            shared_entities=shared,
            settled=before.settled if before is not None else {},
            settled_segments=before.settled_segments if before is not None else {},
            metrics=metrics,
            flops=model.flops(),
            nonce=nonce,
            created=datetime.now(UTC),
        )

    return commit_first(chain, config.generation, weights, record, orphans_seconds=config.orphans_seconds)


def _shared_entities(store: Store, manifests: list[Manifest]) -> int:
    training = [entities_of(store, manifest, TRAINING_SPLITS) for manifest in manifests]
    shared = shared_between_scenarios(training, [entities_of(store, manifest, ["test"]) for manifest in manifests])
    if shared:
        log.warning(
            "%d entities have training rows in one scenario of the pool and test rows in another: what is remembered "
            "of them helps in the test; split by entity to measure without",
            shared,
        )
    return shared


def _rows(store: Store, manifests: list[Manifest], features: Features) -> PoolRows:
    def load(*splits: Split) -> EncodedSplit:
        return concatenate(encoded_parts(store, manifests, splits, features))

    training = load(*TRAINING_SPLITS)
    if not len(training):
        raise DataInvalid("the pool has no training row; choose scenarios with samples")
    _check_labels(training, features.data_schema)
    validations = [load_split(store, manifest, "validation", features) for manifest in manifests]
    return PoolRows(training, validations, load)


def _check_labels(training: EncodedSplit, schema: DataSchema) -> None:
    """A scenario learns from others what it can't teach itself; here there are no others.

    Raises `DataInvalid` where the first label can't be learned; warns of others that no row observes.
    """
    weighed = training.observed & (training.weight > 0)[:, None]
    first, *others = [label.name for label in schema.labels]
    if not bool(weighed[:, 0].any()):
        raise DataInvalid(
            f"label {first!r} is observed in no training row of the pool; choose scenarios that have labels"
        )
    if one_class(training, schema):
        raise DataInvalid(
            f"label {first!r} has one class only in the training rows of the pool; choose scenarios that have both"
        )
    for position, name in enumerate(others, start=1):
        if not bool(weighed[:, position].any()):
            log.warning("label %r is observed in no training row of the pool: nothing is learned about it", name)


Judged = tuple[EncodedSplit, Tensor]
"""Validation rows without their features, and a model's logits for them."""


def judged(model: RankingModel, validation: EncodedSplit) -> Judged:
    """What `pool_metrics` keeps of a scenario's validation rows."""
    return labels_alone(validation), predict(model, validation)


def pool_metrics(features: Features, validations: dict[str, Judged]) -> dict[str, float]:
    """Pooled metrics by name, the primary metric of each scenario as `<metric>/<scenario>`, and the average AUC."""
    together = concatenate(split for split, _ in validations.values())
    pooled = evaluate(torch.cat([logits for _, logits in validations.values()]), together, features)
    primary = primary_metric(features.data_schema)
    by_scenario: dict[str, float] = {}
    for scenario, (split, logits) in validations.items():
        value = evaluate(logits, split, features)[primary].value
        if value is not None:
            by_scenario[f"{primary}/{scenario}"] = value
    result = {name: metric.value for name, metric in pooled.items() if metric.value is not None} | by_scenario
    if primary == "auc" and by_scenario:
        result[SCENARIO_AVERAGE] = fmean(by_scenario.values())
    return result


def _same_columns(manifest: Manifest, config: InitializeConfig) -> bool:
    theirs, ours = manifest.data_schema, config.data_schema
    return (theirs.context, theirs.profile, theirs.behaviors) == (ours.context, ours.profile, ours.behaviors)
