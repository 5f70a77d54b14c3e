"""meta-train: all stored data of the generation in, one more version of the agnostic model out (ALT III-C).

Training starts from the head of the chain, and what it comes to is committed right after that very version, or not at
all: where another version came first, it starts over from the new head, so that no feedback folded meanwhile is lost.
A result that is no better on validation rows than the version it started from is not committed.

Outputs of the result: `agnosticVersion` (the one that stands), `committed`, `baseVersion` (the one it started from),
`generation`, `checkpointSha256`, `rounds`, `bestRound`.
Metrics: `validation` of the version that stands and `baseValidation` of the one it started from, pooled over all
validation rows, with `scenarioAverageAuc`, `loss` (of the agnostic model) and `adaptedLoss` (after an episode's
fine-tuning), both averaged over scenarios. No test row is read.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from longtail_api.methods.alt import MetaTrainConfig
from longtail_api.store_objects import Metric, StepResult, Version
from longtail_store import Chain, Committed
from longtail_store.replacement import committed_by, replace
from longtail_trainer.data.loading import load_manifest, load_split
from longtail_trainer.methods.alt.initialize import judged, pool_metrics
from longtail_trainer.methods.alt.meta_training import (
    MetaTrainingOutcome,
    MetaTrainingSettings,
    Quality,
    Task,
    meta_train,
)
from longtail_trainer.methods.alt.teacher import load_version
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.models.weights import save_weights
from longtail_trainer.running.epochs import TRAINING_ENDS, TRAINING_STARTS
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid
from longtail_trainer.running.step import StepContext
from longtail_trainer.training.device import device_of
from longtail_trainer.training.loss import LabelLosses

log = logging.getLogger(__name__)
Figures = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """What a training from one base came to."""

    outcome: MetaTrainingOutcome
    before: Figures
    """Figures of the base."""
    after: Figures
    """Of the model that is to be committed."""


def run(config: MetaTrainConfig, context: StepContext) -> StepResult:
    """Train from the head, commit what is better, report both.

    Raises `DataInvalid` where prepared data is missing or damaged, or has no query or validation rows, and
    `ConfigInvalid` where the chain is at another generation, or data was prepared with another schema.
    """
    chain, ranks = Chain(context.store), context.ranks
    while True:
        # The head first: a version that another attempt commits from here on is found, or takes this one's number.
        base = ranks.of_first(lambda: _head(chain, config))
        own = ranks.of_first(lambda: committed_by(chain, config.identity, config.base_version))
        if own is not None:
            log.info("version %d was committed by an earlier attempt; it is kept", own.number)
            return _result(context, own, own.number - 1, own.metrics, committed=True)
        _must_be_current(base, config)
        context.progress.update(0.01, f"loading version {base.number} and {len(config.manifests)} scenarios")
        model = load_version(context.store, base).to(device_of(context))
        trained = _trained(model, base, config, context)
        if trained.outcome.best_round == 0:
            return _result(context, base, base.number, _figures(trained), committed=False)
        context.progress.update(0.97, "committing the version")
        weights = Path(context.workdir, "weights.safetensors")
        save_weights(model, weights)
        figures = _figures(trained)
        commit = partial(
            replace,
            chain,
            config.identity,
            base,
            weights,
            pool=config.manifests,
            parameters=config.parameters,
            metrics=figures,
            orphans_seconds=config.orphans_seconds,
        )
        done = ranks.of_first(commit)
        if isinstance(done, Committed):
            return _result(context, done.version, base.number, figures, committed=True)
        log.warning("version %d (%s) came first; training starts over from there", done.winner.number, done.winner.kind)


def _head(chain: Chain, config: MetaTrainConfig) -> Version:
    head = chain.head()
    if head is None or head.number < config.base_version:
        raise DataInvalid(f"agnostic version {config.base_version} is not committed; name one that is as baseVersion")
    return head


def _must_be_current(head: Version, config: MetaTrainConfig) -> None:
    if head.generation != config.generation:
        raise ConfigInvalid(
            f"the agnostic model is at generation {head.generation}, this training is for generation "
            f"{config.generation}; let the next scheduled one train it",
            reason="NewGeneration",
        )


def _trained(model: RankingModel, base: Version, config: MetaTrainConfig, context: StepContext) -> Trained:
    """Meta-train `model`, which holds the weights of `base`, in place."""
    tasks = [_task(context, key, model) for key in config.manifests]
    before = _pool_metrics(model, tasks)
    settings = MetaTrainingSettings(
        rounds=config.rounds,
        patience=config.patience,
        scenarios_per_step=config.scenarios_per_step,
        learning_rate=config.parameters.learning_rate,
        clip_norm=config.parameters.clip_norm,
        seed=config.seed + config.training.seed,
        episode_epochs=config.episode_epochs,
        episode_batch_size=config.training.fine_tune_batch_size,
        episode_learning_rate=float(config.training.fine_tune_learning_rate),
    )
    outcome = meta_train(
        model,
        tasks,
        LabelLosses.of(model.features.data_schema),
        settings,
        _origin(base, config),
        context.resume,
        context.stop,
        _report(context, config.rounds),
        context.ranks,
    )
    after = _pool_metrics(model, tasks)
    return Trained(
        outcome,
        before | {"loss": outcome.start.agnostic, "adaptedLoss": outcome.start.adapted},
        after | {"loss": outcome.best.agnostic, "adaptedLoss": outcome.best.adapted},
    )


def _task(context: StepContext, key: str, model: RankingModel) -> Task:
    manifest = load_manifest(context.store, key)
    theirs, ours = manifest.data_schema, model.features.data_schema
    if (theirs.labels, theirs.context, theirs.profile, theirs.behaviors) != (
        ours.labels,
        ours.context,
        ours.profile,
        ours.behaviors,
    ):
        raise ConfigInvalid(f"{key}: was prepared with another schema; prepare the scenario again")
    return Task(manifest.scenario, lambda split: load_split(context.store, manifest, split, model.features))


def _pool_metrics(model: RankingModel, tasks: list[Task]) -> Figures:
    return pool_metrics(model.features, {task.scenario: judged(model, task.load("validation")) for task in tasks})


def _origin(base: Version, config: MetaTrainConfig) -> str:
    """What a saved state must have begun with, to be gone on from."""
    text = "\n".join([base.checkpoint.sha256, str(base.number), *config.manifests])
    return hashlib.sha256(text.encode()).hexdigest()


def _report(context: StepContext, rounds: int) -> Callable[[int, float, Quality], None]:
    def report(number: int, query_loss: float, quality: Quality) -> None:
        context.progress.metric(
            round=number, queryLoss=query_loss, validationLoss=quality.agnostic, adaptedLoss=quality.adapted
        )
        done = TRAINING_STARTS + (TRAINING_ENDS - TRAINING_STARTS) * number / rounds
        context.progress.update(done, f"round {number}")

    return report


_BEFORE, _TRAINING = "base/", "training/"
"""The figures of the base, and how long the training was, stand beside the version's own figures in its record: so an
attempt that finds its version committed reports what the one that committed it would have reported."""


def _figures(trained: Trained) -> Figures:
    overall = {f"{_BEFORE}{name}": value for name, value in trained.before.items() if "/" not in name}
    rounds = {"rounds": trained.outcome.rounds, "bestRound": trained.outcome.best_round}
    return trained.after | overall | {f"{_TRAINING}{name}": float(value) for name, value in rounds.items()}


def _result(context: StepContext, version: Version, base: int, figures: Figures, *, committed: bool) -> StepResult:
    after = {name: Metric(value=value) for name, value in figures.items() if "/" not in name}
    before = {
        name.removeprefix(_BEFORE): Metric(value=value) for name, value in figures.items() if name.startswith(_BEFORE)
    }
    return context.result(
        outputs={
            "agnosticVersion": version.number,
            "committed": committed,
            "baseVersion": base,
            "generation": version.generation,
            "checkpointSha256": version.checkpoint.sha256,
            **{
                name.removeprefix(_TRAINING): int(value)
                for name, value in figures.items()
                if name.startswith(_TRAINING)
            },
        },
        metrics={"validation": after, "baseValidation": before},
        flops=version.flops,
    )
