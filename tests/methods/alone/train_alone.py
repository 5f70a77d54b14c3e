"""train-alone: a light model from the scenario's own training rows, exported and published."""

from longtail_api.store_layout import statistics_key
from longtail_api.store_objects import TRAINING_SPLITS, AltLight, Metric, Split, Statistics, StepResult
from longtail_store import parse_object
from longtail_trainer.data.encoded import concatenate
from longtail_trainer.data.features import fit_features
from longtail_trainer.data.loading import encoded_parts, load_manifest, load_split
from longtail_trainer.export.publication import (
    Release,
    metrics_of_card,
    outputs_of_card,
    publish_model,
    published_card,
)
from longtail_trainer.models.alt_light.model import predefined_architecture
from longtail_trainer.models.registry import served_family
from longtail_trainer.models.weights import adopt_weights
from longtail_trainer.running.epochs import epoch_report
from longtail_trainer.running.errors import BudgetUnreachable, DataInvalid
from longtail_trainer.running.step import StepContext
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import can_judge, predict
from longtail_trainer.training.seeds import seeded
from longtail_trainer.training.settings import TrainingSettings, minibatch
from longtail_trainer.training.supervised import train
from tests.methods.alone.api import TrainAloneConfig

SPEC = AltLight.of(predefined_architecture(width=4, layers=1, operation="conv3"))


def run(config: TrainAloneConfig, context: StepContext) -> StepResult:
    """Train, publish.

    Raises `BudgetUnreachable` before training where the model exceeds the FLOPs, `DataInvalid` where nothing teaches.
    """
    card = published_card(context.store, config.owner, config.light_version)
    if card is None:
        manifest = load_manifest(context.store, config.manifest)
        key = statistics_key(manifest.scenario, manifest.version)
        features = fit_features(manifest.data_schema, parse_object(context.store.get(key), Statistics, key))
        with seeded(config.seed):
            model = served_family(SPEC.family).build(SPEC, features)
        if config.max_flops is not None and model.flops() > config.max_flops:
            raise BudgetUnreachable(f"budget.maxFlops: the model needs {model.flops()} FLOPs, above {config.max_flops}")
        rows = concatenate(encoded_parts(context.store, [manifest], TRAINING_SPLITS, features))
        if not can_judge(rows):
            raise DataInvalid(f"{config.manifest}: no training row has a label; add samples")
        train(
            model,
            rows,
            load_split(context.store, manifest, "validation", features),
            LabelLosses.of(manifest.data_schema),
            TrainingSettings(
                epochs=config.epochs, batch_size=minibatch(len(rows), 64), learning_rate=0.01, seed=config.seed
            ),
            context.resume,
            context.stop,
            epoch_report(context.progress, config.epochs),
        )
        adopt_weights(context.store, f"{context.prefix}/weights.safetensors", model)
        evaluated: tuple[Split, ...] = ("validation", "test")
        metrics: dict[str, dict[str, Metric]] = {}
        for name in evaluated:
            split = load_split(context.store, manifest, name, features)
            metrics[name] = evaluate(predict(model, split), split, features)
        release = Release(
            scenario=config.owner, version=config.light_version, spec=SPEC, manifest=manifest, metrics=metrics
        )
        card = publish_model(context.store, model, release)
    return context.result(outputs=outputs_of_card(card), metrics=metrics_of_card(card), flops=card.flops)
