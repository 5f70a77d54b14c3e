"""adapt: fine-tune the agnostic model on one scenario's support set; feedback from its query set (ALT III-C).

The feedback is the gradient at θu, which has seen no query row. Only then are query rows learned too (`adaptation`).

Outputs of the result:
- `interpolation`: α, the share of the way from the agnostic weights to the refitted ones at which the heavy model
  lies, by validation rows; 0: it is the agnostic model itself, and `adaptReason` says why (null otherwise)
- `fineTuneEpochs`: the epochs that led to θu, and of the refit; `agnosticLoss`, `adaptedLoss`: the validation loss
  at α = 0 and at α = 1, null without a labeled validation row
- `agnosticVersion`, `generation`: of the version it started from; `heavyKey`, `heavySha256`: the scenario-specific
  heavy model's weights; `heavyFlops`: its FLOPs of one prediction at maxLength
- `feedbackKey`, `feedbackSha256`: the feedback file and the hash of its payload; both null, with `feedbackReason`
  `EmptyQuerySet`, where there is no query row to learn from, or `AlreadyLearned`, where none was asked for
- `uncovered`: of the columns of whose training values more than half are clipped or unknown (at most ten, the worst
  ones), the share that is: the features were fitted on the pool, and the scenario's data lies outside of them

Metrics: `validation` and `test` of that heavy model, `agnosticValidation` and `agnosticTest` of the version it
started from. Picture: `learning-curves`.
"""

import hashlib
import logging
import math
from collections.abc import Callable

from longtail_api.methods.alt import AdaptConfig
from longtail_api.store_layout import feedback_key, step_prefix
from longtail_api.store_objects import Manifest, Metric, StepResult, Version
from longtail_store import Chain, ObjectMissing
from longtail_store.feedback import FeedbackConflict, write_feedback
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.features import coverage
from longtail_trainer.data.loading import load_manifest, load_split, load_statistics
from longtail_trainer.methods.alt.adaptation import Rows, fine_tune, interpolate, refit, weights_of, why_not
from longtail_trainer.methods.alt.feedback import EmptyQuerySet, feedback
from longtail_trainer.methods.alt.gradients import stored_gradients
from longtail_trainer.methods.alt.teacher import load_version
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.models.weights import set_weights, weights_bytes
from longtail_trainer.pictures import Kept, learning_curves, loss_curves, publish, published
from longtail_trainer.running.epochs import TRAINING_ENDS, epoch_report
from longtail_trainer.running.errors import DataInvalid
from longtail_trainer.running.step import StepContext
from longtail_trainer.training.device import device_of
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.settings import TrainingSettings

log = logging.getLogger(__name__)


def run(config: AdaptConfig, context: StepContext) -> StepResult:
    """Fine-tune a copy of the base version, hand in the feedback, refit, take it as far as is shown to help, save.

    Raises `DataInvalid` where the base version or prepared data is missing or damaged.
    """
    device = device_of(context)
    context.progress.update(0.01, "loading the agnostic model and the data")
    manifest = load_manifest(context.store, config.manifest)
    version = _base_version(context, config.base_version)
    model = load_version(context.store, version).to(device)
    losses = LabelLosses.of(model.features.data_schema)
    support, query, validation, test = (
        load_split(context.store, manifest, name, model.features) for name in ("support", "query", "validation", "test")
    )
    rows, evaluated = Rows(support, query, validation), {"validation": validation, "test": test}
    metrics = {f"agnostic{name.capitalize()}": _metrics(model, split) for name, split in evaluated.items()}

    start, settings = weights_of(model), _settings(config)
    reason, epochs = why_not(rows, model.features.data_schema), 0
    if reason is None:
        epochs = _fine_tuned(model, rows, losses, settings, context)
    outputs = _handed_in(model, query, version, losses, context, wanted=config.feedback)
    refit(model, start, epochs, rows, losses, settings, context.resume, context.stop, _refit_report(context))
    found = interpolate(model, start, validation, losses)
    if reason is None and found.step == 0:
        reason = "NotBetter"
    if reason is not None:
        log.warning("%s: the agnostic model is kept as it is (%s)", manifest.scenario, reason)
    heavy_key, heavy_sha256 = _saved(model, context)
    metrics |= {name: _metrics(model, split) for name, split in evaluated.items()}
    return context.result(
        outputs={
            **outputs,
            "interpolation": found.step,
            "adaptReason": reason,
            "fineTuneEpochs": epochs,
            "agnosticLoss": _number(found.agnostic_loss),
            "adaptedLoss": _number(found.adapted_loss),
            "uncovered": _uncovered(manifest, model, context),
            "heavyKey": heavy_key,
            "heavySha256": heavy_sha256,
            "agnosticVersion": version.number,
            "generation": version.generation,
            "heavyFlops": model.flops(),
        },
        metrics=metrics,
        flops=model.flops(),
        pictures=published(context.store, context.prefix),
    )


ALREADY_LEARNED = "AlreadyLearned"
UNCOVERED = 0.5
"""Above this share of its training values, a column that can't tell them apart is worth a word."""
MOST_UNCOVERED = 10


def _base_version(context: StepContext, number: int) -> Version:
    try:
        return Chain(context.store).version(number)
    except ObjectMissing as error:
        raise DataInvalid(f"agnostic version {number} is not committed; name one that is as baseVersion") from error


def _metrics(model: RankingModel, split: EncodedSplit) -> dict[str, Metric]:
    return evaluate(predict(model, split), split, model.features)


def _number(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _settings(config: AdaptConfig) -> TrainingSettings:
    return TrainingSettings(
        epochs=config.training.fine_tune_epochs,
        batch_size=config.training.fine_tune_batch_size,
        learning_rate=float(config.training.fine_tune_learning_rate),
        seed=config.seed + config.training.seed,
    )


def _fine_tuned(
    model: RankingModel, rows: Rows, losses: LabelLosses, settings: TrainingSettings, context: StepContext
) -> int:
    """The epochs that led to θu, which the model then has; 0 where θ0 itself was the best. Draws the losses."""
    assert settings.epochs is not None
    report = epoch_report(context.progress, settings.epochs)
    outcome = fine_tune(model, rows, losses, settings, context.resume, context.stop, report)

    def curves() -> str:
        kept = Kept(outcome.best_epoch, outcome.best_loss)
        return learning_curves("Learning curves of fine-tuning", loss_curves(context.progress.records()), kept)

    publish(context.store, context.prefix, "learning-curves", curves)
    return outcome.best_epoch


def _refit_report(context: StepContext) -> Callable[[int, float, float], None]:
    """Its losses are in no curve: no validation row judges it."""

    def report(epoch: int, training_loss: float, validation_loss: float) -> None:
        context.progress.update(TRAINING_ENDS, f"refit on support and query rows, epoch {epoch}")

    return report


def _uncovered(manifest: Manifest, model: RankingModel, context: StepContext) -> dict[str, float]:
    shares = coverage(load_statistics(context.store, manifest), model.features)
    worst = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:MOST_UNCOVERED]
    found = {name: round(share, 4) for name, share in worst if share > UNCOVERED}
    for name, share in found.items():
        log.warning(
            "%s of %s: %.0f %% of the training values are clipped or unknown", name, manifest.scenario, 100 * share
        )
    return found


def _saved(model: RankingModel, context: StepContext) -> tuple[str, str]:
    """Key and hash of the heavy model's weights in the store.

    Where an earlier attempt has saved weights, those stand, and the model gets them: the metrics must be theirs.
    """
    key = f"{step_prefix(context.config.owner, context.config.run, 'adapt')}/heavy.safetensors"
    content = weights_bytes(model)
    if not context.store.put_if_absent(key, content):
        content = context.store.get(key)
        set_weights(model, content)
    return key, hashlib.sha256(content).hexdigest()


def _handed_in(
    model: RankingModel,
    query: EncodedSplit,
    version: Version,
    losses: LabelLosses,
    context: StepContext,
    *,
    wanted: bool,
) -> dict[str, str | None]:
    """The part of the outputs that names the feedback, after it is in the store. The model holds θu."""
    scenario, run_number = context.config.owner, context.config.run
    if not wanted:
        return {"feedbackKey": None, "feedbackSha256": None, "feedbackReason": ALREADY_LEARNED}
    try:
        found = feedback(model, query, losses)
    except EmptyQuerySet as error:
        log.warning("no feedback: %s", error.message)
        return {"feedbackKey": None, "feedbackSha256": None, "feedbackReason": error.reason}
    try:
        metadata = write_feedback(
            context.store,
            stored_gradients(found.gradients, model),
            scenario=scenario,
            run=run_number,
            base_version=version.number,
            generation=version.generation,
            examples=found.examples,
            loss=found.loss,
        )
    except FeedbackConflict as error:
        if error.stored.base_version != version.number:
            raise
        # An earlier attempt on another machine, whose sums were rounded otherwise. One feedback a run: that one.
        log.warning("%s; it stands", error)
        metadata = error.stored
    return {"feedbackKey": feedback_key(scenario, run_number), "feedbackSha256": metadata.payload_sha256}
