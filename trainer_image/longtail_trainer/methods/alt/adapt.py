"""adapt: fine-tune the agnostic model on one scenario's support set; feedback from its query set (ALT III-C).

Outputs of the result:
- `agnosticVersion`: the version it started from; `heavyKey`, `heavySha256`: the scenario-specific heavy model's
  weights; `heavyFlops`: its FLOPs of one prediction at maxLength
- `feedbackKey`, `feedbackSha256`: the feedback file and the hash of its payload; both null, with `feedbackReason`
  `EmptyQuerySet`, where there is no query row to learn from
- `uncovered`: of the columns of whose training values more than half are clipped or unknown (at most ten, the worst
  ones), the share that is: the features were fitted on the pool, and the scenario's data lies outside of them

Metrics: `validation` and `test` of the adapted model, `agnosticValidation` and `agnosticTest` of the version it
started from. Picture: `learning-curves`.
"""

import hashlib
import logging

from longtail_api.methods.alt import AdaptConfig
from longtail_api.store_layout import feedback_key, step_prefix
from longtail_api.store_objects import Manifest, Metric, Split, StepResult, Version
from longtail_store import Chain, ObjectMissing
from longtail_store.feedback import FeedbackConflict, write_feedback
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.features import coverage
from longtail_trainer.data.loading import load_manifest, load_split, load_statistics
from longtail_trainer.data.rows import one_class
from longtail_trainer.methods.alt.feedback import EmptyQuerySet, feedback
from longtail_trainer.methods.alt.gradients import stored_gradients
from longtail_trainer.methods.alt.teacher import load_version
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.weights import set_weights, weights_bytes
from longtail_trainer.pictures import Kept, learning_curves, loss_curves, publish, published
from longtail_trainer.running.epochs import epoch_report
from longtail_trainer.running.errors import DataInvalid
from longtail_trainer.running.step import StepContext
from longtail_trainer.training.device import training_device
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import train

log = logging.getLogger(__name__)


def run(config: AdaptConfig, context: StepContext) -> StepResult:
    """Copy the base version, fine-tune, save, hand in the feedback.

    Raises `DataInvalid` where the base version or prepared data is missing or damaged.
    """
    device = training_device(context.threads)
    context.progress.update(0.01, "loading the agnostic model and the data")
    manifest = load_manifest(context.store, config.manifest)
    version = _base_version(context, config.base_version)
    model = load_version(context.store, version).to(device)
    losses = LabelLosses.of(model.features.data_schema)
    split = {name: load_split(context.store, manifest, name, model.features) for name in _EVALUATED}
    metrics = {f"agnostic{name.capitalize()}": _metrics(model, split[name]) for name in _EVALUATED}

    _fine_tune(model, manifest, split["validation"], losses, config, context)
    heavy_key, heavy_sha256 = _saved(model, context)
    metrics |= {name: _metrics(model, split[name]) for name in _EVALUATED}
    context.progress.update(0.97, "computing the feedback")
    outputs = _handed_in(model, manifest, version, losses, context)
    return context.result(
        outputs={
            **outputs,
            "uncovered": _uncovered(manifest, model, context),
            "heavyKey": heavy_key,
            "heavySha256": heavy_sha256,
            "agnosticVersion": version.number,
            "heavyFlops": model.flops(),
        },
        metrics=metrics,
        flops=model.flops(),
        pictures=published(context.store, context.prefix),
    )


UNCOVERED = 0.5
"""Above this share of its training values, a column that can't tell them apart is worth a word."""
MOST_UNCOVERED = 10
_EVALUATED: tuple[Split, ...] = ("validation", "test")


def _base_version(context: StepContext, number: int) -> Version:
    try:
        return Chain(context.store).version(number)
    except ObjectMissing as error:
        raise DataInvalid(f"agnostic version {number} is not committed; name one that is as baseVersion") from error


def _metrics(model: HeavyModel, split: EncodedSplit) -> dict[str, Metric]:
    return evaluate(predict(model, split), split, model.features)


def _fine_tune(
    model: HeavyModel,
    manifest: Manifest,
    validation: EncodedSplit,
    losses: LabelLosses,
    config: AdaptConfig,
    context: StepContext,
) -> None:
    """θu from θ0 (ALT Eq. 1), in place. The epoch of the lowest validation loss counts, θ0 being epoch 0.

    Without validation rows no epoch can be shown to be better than θ0, so θ0 it is.
    """
    support = load_split(context.store, manifest, "support", model.features)
    if not len(support):
        log.warning("%s has no support row; the agnostic model is kept as it is", manifest.scenario)
        return
    if one_class(support, model.features.data_schema):
        log.warning("%s has one class in its support rows; the agnostic model is kept as it is", manifest.scenario)
        return
    settings = TrainingSettings(
        epochs=config.training.fine_tune_epochs,
        batch_size=config.training.fine_tune_batch_size,
        learning_rate=float(config.training.fine_tune_learning_rate),
        seed=config.seed + config.training.seed,
        keep_start=True,
    )
    report = epoch_report(context.progress, config.training.fine_tune_epochs)
    outcome = train(model, support, validation, losses, settings, context.resume, context.stop, report)
    if not outcome.epochs:
        log.warning("%s has no labeled validation row to judge by; the agnostic model is kept", manifest.scenario)
        return

    def curves() -> str:
        kept = Kept(outcome.best_epoch, outcome.best_loss)
        return learning_curves("Learning curves of fine-tuning", loss_curves(context.progress.records()), kept)

    publish(context.store, context.prefix, "learning-curves", curves)


def _uncovered(manifest: Manifest, model: HeavyModel, context: StepContext) -> dict[str, float]:
    shares = coverage(load_statistics(context.store, manifest), model.features)
    worst = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:MOST_UNCOVERED]
    found = {name: round(share, 4) for name, share in worst if share > UNCOVERED}
    for name, share in found.items():
        log.warning(
            "%s of %s: %.0f %% of the training values are clipped or unknown", name, manifest.scenario, 100 * share
        )
    return found


def _saved(model: HeavyModel, context: StepContext) -> tuple[str, str]:
    """Key and hash of the heavy model's weights in the store.

    Where an earlier attempt has saved weights, those stand, and the model gets them: what follows must be theirs.
    """
    key = f"{step_prefix(context.config.owner, context.config.run, 'adapt')}/heavy.safetensors"
    content = weights_bytes(model)
    if not context.store.put_if_absent(key, content):
        content = context.store.get(key)
        set_weights(model, content)
    return key, hashlib.sha256(content).hexdigest()


def _handed_in(
    model: HeavyModel, manifest: Manifest, version: Version, losses: LabelLosses, context: StepContext
) -> dict[str, str | None]:
    """The part of the outputs that names the feedback, after it is in the store."""
    scenario, run_number = context.config.owner, context.config.run
    try:
        found = feedback(model, load_split(context.store, manifest, "query", model.features), losses)
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
