"""train-light: the searched architecture, trained from fresh weights with the teacher, exported and published.

Writes `runs/<owner>/<run>/train-light/weights.safetensors`, then `models/<owner>/<lightVersion>/model.onnx`, then
`model.json` (a `ModelCard`). Each is put once: an attempt after a kill goes on from what stands. Outputs:
- `lightVersion`, `modelKey`, `modelSha256`, `cardKey`: what serving pins
- `flops`, `heavyFlops`: of one prediction at maxLength; `architecture`: in one line

Metrics: `test` and `validation` of the light model, `heavyTest` of its teacher, and `latency` (`p50Milliseconds`,
`p99Milliseconds`: ONNX Runtime, one thread, batch 1, maxLength; measured up to three times while it is above the
limit). Pictures: `learning-curves`, `cell` with the weights of its attentive sum, `quality-cost`.

The model knows the categories that its training rows have, its scenario's and those that the teacher labels; all others
are unknown to it.
"""

from itertools import chain

import torch

from longtail_api.methods.alt import TrainLightConfig
from longtail_api.store_layout import metrics_key
from longtail_api.store_objects import (
    TRAINING_SPLITS,
    AltLight,
    LightArchitecture,
    Manifest,
    Metric,
    ModelCard,
    SearchResult,
    Split,
    StepResult,
)
from longtail_store import ObjectMissing, read_object
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.loading import encoded_parts, load_manifest, load_split
from longtail_trainer.data.rows import slice_of
from longtail_trainer.data.seen_categories import SeenCategories
from longtail_trainer.export.publication import (
    Release,
    metrics_of_card,
    outputs_of_card,
    publish_model,
    published_card,
)
from longtail_trainer.methods.alt.distillation import DistillationLosses, hard_labels, with_teacher
from longtail_trainer.methods.alt.light_training import fresh, train_light
from longtail_trainer.methods.alt.rankings.history import considered
from longtail_trainer.methods.alt.teacher import load_heavy
from longtail_trainer.methods.alt.transfer import nothing_to_label, transfer_rows
from longtail_trainer.models.alt_light.family import AltLightFamily
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.models.registry import served_family
from longtail_trainer.models.weights import adopt_weights
from longtail_trainer.pictures import (
    Candidates,
    CellParts,
    Kept,
    Model,
    cell,
    learning_curves,
    loss_curves,
    publish,
    published,
    quality_cost,
)
from longtail_trainer.running.epochs import epoch_report
from longtail_trainer.running.errors import BudgetUnreachable, ConfigInvalid
from longtail_trainer.running.progress import parsed_records
from longtail_trainer.running.step import StepContext
from longtail_trainer.training.device import device_of
from longtail_trainer.training.evaluation import evaluate, primary_metric
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.supervised import TrainingOutcome

FAMILY = AltLightFamily()
"""What ALT serves."""


def run(config: TrainLightConfig, context: StepContext) -> StepResult:
    """Train, export, check, publish.

    Raises `BudgetUnreachable` before training where the architecture exceeds the FLOPs, and after the export where it
    is too slow; `DataInvalid` where there is no row that the teacher could label; `ParityFailed` where the graph
    doesn't answer as the model does. Then nothing is published.
    """
    standing = published_card(context.store, config.owner, config.light_version)
    if standing is not None:
        return _finished(standing, context)
    context.progress.update(0.0, "loading the heavy model and the data")
    architecture = _architecture(config, context)
    manifest = load_manifest(context.store, config.manifest)
    teacher = load_heavy(context.store, config.heavy_result)
    seed = config.seed + config.training.seed
    _check_flops(fresh(teacher.features, architecture, config.features, seed), config.max_flops)
    teacher.to(device_of(context))
    rows, validation = _taught_rows(teacher, manifest, config, context)
    seen = SeenCategories.of(teacher.features, rows)
    model = fresh(seen.features, architecture, config.features, seed)
    outcome = _train(model, seen.encoded(rows), seen.encoded(validation), config, context)
    adopt_weights(context.store, f"{context.prefix}/weights.safetensors", model)
    metrics = _metrics(model, manifest, config, context)
    _draw(model, teacher, manifest, metrics, outcome, config, context)

    context.progress.update(0.96, "exporting to ONNX")
    release = Release(
        scenario=config.owner,
        version=config.light_version,
        spec=AltLight.of(architecture),
        manifest=manifest,
        metrics=metrics,
        agnostic_version=config.base_version,
        heavy_flops=teacher.flops(),
    )
    card = publish_model(
        context.store,
        model,
        release,
        max_latency_milliseconds=config.max_latency_milliseconds,
        parity_tolerance=config.parity_tolerance,
    )
    return _finished(card, context)


def _architecture(config: TrainLightConfig, context: StepContext) -> LightArchitecture:
    if config.architecture is not None:
        return config.architecture
    if config.search_result is None:
        raise ConfigInvalid("architecture and searchResult are both missing; give one of them")
    try:
        return read_object(context.store, config.search_result, SearchResult).found
    except ObjectMissing as error:
        raise ConfigInvalid(
            f"searchResult: {config.search_result} is not in the store; run the search first"
        ) from error


def _check_flops(model: LightModel, limit: int | None) -> None:
    if limit is not None and model.flops() > limit:
        raise BudgetUnreachable(
            f"budget.maxFlops: the architecture ({FAMILY.words(model.architecture)}) needs {model.flops()} FLOPs, "
            f"above {limit}: raise the budget to at least that, or search again within it"
        )


def _train(
    model: LightModel, rows: EncodedSplit, validation: EncodedSplit, config: TrainLightConfig, context: StepContext
) -> TrainingOutcome:
    """In place, on rows that are taught; validation rows say when to stop. Ends on the CPU."""
    losses = DistillationLosses.taught(
        model.features.data_schema, float(config.teacher.temperature), float(config.teacher.weight)
    )
    outcome = train_light(
        model.to(device_of(context)),
        rows,
        validation,
        losses,
        config.light_training,
        config.seed + config.training.seed,
        context.resume,
        context.stop,
        epoch_report(context.progress, config.light_training.epochs),
    )
    model.cpu()
    return outcome


def _taught_rows(
    teacher: RankingModel, manifest: Manifest, config: TrainLightConfig, context: StepContext
) -> tuple[EncodedSplit, EncodedSplit]:
    """The scenario's training rows and those that the teacher labels beside them; and its validation rows, all with
    the teacher's logits."""
    others = transfer_rows(
        context.store,
        config.base_version,
        teacher.features,
        manifest.scenario,
        config.teacher.transfer_rows,
        config.seed + config.training.seed,
        config.transfer_from,
    )
    rows = concatenate(chain(encoded_parts(context.store, [manifest], TRAINING_SPLITS, teacher.features), [others]))
    own = len(rows) - len(others)
    if not len(rows):
        raise nothing_to_label(config.manifest)
    # Asked apart, since who else is in a batch may change the last bit of an answer.
    asked = (slice_of(rows, 0, own), slice_of(rows, own, len(rows)))
    logits = torch.cat([predict(teacher, part) for part in asked])
    hard = hard_labels(teacher.features.data_schema, config.teacher, rows)
    validation = load_split(context.store, manifest, "validation", teacher.features)
    return with_teacher(rows, logits, hard), with_teacher(validation, predict(teacher, validation), hard)


def _metrics(
    model: LightModel, manifest: Manifest, config: TrainLightConfig, context: StepContext
) -> dict[str, dict[str, Metric]]:
    evaluated: tuple[Split, ...] = ("test", "validation")
    result: dict[str, dict[str, Metric]] = {}
    for name in evaluated:
        split = load_split(context.store, manifest, name, model.features)
        result[name] = evaluate(predict(model, split), split, model.features)
    heavy = read_object(context.store, config.heavy_result, StepResult).metrics
    return result | ({"heavyTest": heavy["test"]} if "test" in heavy else {})


def _draw(
    model: LightModel, teacher: RankingModel, manifest: Manifest, metrics: dict[str, dict[str, Metric]],
    outcome: TrainingOutcome, config: TrainLightConfig, context: StepContext,
) -> None:  # fmt: skip
    """Before anything is published, so that an attempt that finds the model published finds its pictures, too."""

    def curves() -> str:
        # The teacher's part of the two losses is over other rows.
        rows = "training and transfer rows" if config.teacher.transfer_rows else "training rows"
        kept = Kept(outcome.best_epoch, outcome.best_loss)
        return learning_curves(
            "Learning curves of the light model", loss_curves(context.progress.records(), rows), kept
        )

    def cell_picture() -> str:
        validation = load_split(context.store, manifest, "validation", model.features)
        figures = FAMILY.layer_figures(model, validation)
        return cell(CellParts(model.architecture, figures.flops, figures.fixed, config.max_flops, figures.weights))

    def quality() -> str:
        figure = primary_metric(model.features.data_schema)
        heavy = metrics.get("heavyTest", {}).get(figure, Metric())
        return quality_cost(
            figure.upper(),
            Model("heavy model", teacher.flops(), heavy),
            Model("light model", model.flops(), metrics["test"][figure]),
            _considered(figure, config, context),
            config.max_flops,
        )

    publish(context.store, context.prefix, "learning-curves", curves)
    publish(context.store, context.prefix, "cell", cell_picture)
    publish(context.store, context.prefix, "quality-cost", quality)


def _considered(figure: str, config: TrainLightConfig, context: StepContext) -> Candidates | None:
    """From the advisory history beside the search's result; None where there is none."""
    if config.search_result is None:
        return None
    try:
        content = context.store.get(metrics_key(config.search_result.rpartition("/")[0]))
    except ObjectMissing:
        return None
    return considered(parsed_records(content.decode(errors="replace")), figure)


def _finished(card: ModelCard, context: StepContext) -> StepResult:
    return context.result(
        outputs={**outputs_of_card(card), "architecture": served_family(card.model.family).words(card.model)},
        metrics=metrics_of_card(card),
        flops=card.flops,
        pictures=published(context.store, context.prefix),
    )
