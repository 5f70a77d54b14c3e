"""samd: a general model on the super scenario, and sub-models of all others distilled from it (SAMD, Algorithm 1).

Writes below `runs/agnostic/<run>/samd/`: `general.safetensors`, `representation.safetensors` and
`meta-network.safetensors`; and of each member `runs/<scenario>/<run>/samd/weights.safetensors`, its model, its card,
and a `result.json` of its own, which the step's result names. Each is put once: an attempt after a kill goes on from
what stands.

Outputs: `refused`, by scenario, why it takes no part (`reason`, `message`); `withoutNeighbors`: scenarios that share no
entity with another, so that their attributes alone say what they are like. Metrics: means over the members. A member's
own: `validation`, `test`, `latency`, and `transfer`: of its W_T the mean entropy of the general model's layers, as a
share of the largest (1: every layer alike), and the rank correlation of its weights with the nearness of the layers (1:
it has picked the layers that are near anyway).
"""

import hashlib
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from longtail_api.methods.samd import SamdConfig
from longtail_api.store_layout import result_key, step_prefix
from longtail_api.store_objects import TRAINING_SPLITS, Metric, ModelCard, Split, StepResult
from longtail_api.store_objects import Member as MemberResult
from longtail_store import Store, write_object_if_absent
from longtail_trainer.data.encoded import concatenate
from longtail_trainer.data.loading import entities_of, load_split
from longtail_trainer.data.seen_categories import SeenCategories
from longtail_trainer.export.publication import (
    Release,
    metrics_of_card,
    outputs_of_card,
    publish_model,
    published_card,
)
from longtail_trainer.methods.samd.distilling import Distilling, DistillingSettings
from longtail_trainer.methods.samd.group import Group, Member, load_group
from longtail_trainer.methods.samd.meta_network import MetaNetwork
from longtail_trainer.methods.samd.representation import ScenarioRepresentation
from longtail_trainer.methods.samd.representation_training import RepresentationTraining, ScenarioHead
from longtail_trainer.methods.samd.sub_models import SubModel
from longtail_trainer.methods.samd.swing import Indices, by_size, most_similar, swing
from longtail_trainer.methods.samd.transfer_figures import transfer_figures
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.models.dnn.model import DnnModel
from longtail_trainer.models.registry import served_family
from longtail_trainer.models.weights import adopt_weights
from longtail_trainer.running.epochs import epoch_report
from longtail_trainer.running.errors import UserError
from longtail_trainer.running.resume import NamedPart
from longtail_trainer.running.step import StepContext
from longtail_trainer.training.device import device_of
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.fit import fit
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.seeds import epoch_seed, seeded
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import train


def run(config: SamdConfig, context: StepContext) -> StepResult:
    """Train, distill, publish.

    A member whose model is too slow, or doesn't answer as it was trained, is refused, too. Raises as `load_group` does;
    where nobody's model is left, the first one's reason.
    """
    context.progress.update(0.0, f"loading {1 + len(config.members)} scenarios")
    group = load_group(config, context.store)
    neighbors = _neighbors(group, config, context.store)
    general, seen = _general(group, config, context)
    members = _sub_models(group, seen, _representation(group, neighbors, config, context), config)
    figures, epochs = _distilled(group, general, members, config, context)
    cards: dict[str, ModelCard] = {}
    for member in group.members:
        context.progress.update(0.95, f"exporting {member.scenario}")
        try:
            cards[member.scenario] = _published(member, figures[member.scenario], config, context)
        except UserError as error:
            group.refused[member.scenario] = error
    if not cards:
        raise next(iter(group.refused.values()))
    return _result(group, neighbors, cards, epochs, config, context)


def _neighbors(group: Group, config: SamdConfig, store: Store) -> list[Indices]:
    """Of each member those that it resembles most, by their numbers."""
    how = config.representation.swing
    entities = [entities_of(store, member.manifest, TRAINING_SPLITS) for member in group.members]
    similarity = swing(entities, float(how.smoothing), distinct_entities=how.distinct_entities)
    if how.normalization == "BySize":
        similarity = by_size(similarity, entities)
    return most_similar(similarity, config.representation.neighbors)


def _general(group: Group, config: SamdConfig, context: StepContext) -> tuple[RankingModel, SeenCategories]:
    """The general model (Eq. 1), trained, and the categories that it knows."""
    pooled = config.general_rows == "Pooled"
    rows = concatenate([group.super_rows, *(member.rows for member in group.members if pooled)])
    seen = SeenCategories.of(group.features, rows)
    with seeded(epoch_seed(config.seed, "general model")):
        general = DnnModel(seen.features, config.general)
    key = f"{context.prefix}/general.safetensors"
    if not context.store.exists(key):
        context.progress.update(0.02, f"training the general model on {len(rows)} rows")
        training = config.training
        train(
            general.to(device_of(context)),
            seen.encoded(rows),
            seen.encoded(load_split(context.store, group.super_manifest, "validation", group.features)),
            LabelLosses.of(group.features.data_schema),
            TrainingSettings(
                epochs=training.general_epochs,
                batch_size=training.batch_size,
                learning_rate=float(training.learning_rate),
                optimizer="adam",
                weight_decay=0,
                schedule="constant",
                seed=config.seed,
                patience=training.patience,
            ),
            NamedPart(context.resume, "general"),
            context.stop,
        )
    adopt_weights(context.store, key, general.cpu())
    return general.to(device_of(context)).eval(), seen


def _representation(group: Group, neighbors: list[Indices], config: SamdConfig, context: StepContext) -> Tensor:
    """T of the members, (members, width), learned once."""
    how = config.representation
    device = device_of(context)
    with seeded(epoch_seed(config.seed, "representation")):
        attributes = [member.config.attributes for member in group.members]
        representation = ScenarioRepresentation(attributes, neighbors, how.width, how.embedding_size)
        head = ScenarioHead(group.features, how.width, how.embedding_size)
    key = f"{context.prefix}/representation.safetensors"
    if not context.store.exists(key):
        context.progress.update(0.06, "learning what the scenarios are like")
        program = RepresentationTraining(
            representation.to(device),
            head.to(device),
            [member.rows for member in group.members],
            LabelLosses.of(group.features.data_schema),
            epochs=how.epochs,
            batch_size=config.training.batch_size,
            learning_rate=float(how.learning_rate),
            seed=config.seed,
        )
        fit(program, context.resume, context.stop)
    adopt_weights(context.store, key, representation.cpu())
    with torch.no_grad():
        return representation.to(device)()


def _sub_models(group: Group, seen: SeenCategories, representation: Tensor, config: SamdConfig) -> list[SubModel]:
    """seen: of the general model."""
    result: list[SubModel] = []
    for number, member in enumerate(group.members):
        plug_in = f"depth-{member.depth}" if config.distillation.plug_in == "Depth" else f"scenario-{number}"
        result.append(
            SubModel(
                scenario=member.scenario,
                model=member.model.to(representation.device),
                rows=member.own_rows,
                validation=member.own_validation,
                general_rows=seen.encoded(member.rows),
                representation=representation[number],
                plug_in=plug_in,
                depth=member.depth,
            )
        )
    return result


def _distilled(
    group: Group, general: RankingModel, members: list[SubModel], config: SamdConfig, context: StepContext
) -> tuple[dict[str, dict[str, Metric]], int]:
    """Train all sub-models and the meta network: the figures of each scenario's transfer, and the epochs it took."""
    how, training = config.distillation, config.training
    plug_ins = {member.plug_in: member.depth for member in members}
    with seeded(epoch_seed(config.seed, "meta network")):
        network = MetaNetwork(
            config.representation.width, how.clusters, len(config.general.layers), plug_ins, how.transfer_weights
        )
    program = Distilling(
        general,
        network.to(device_of(context)),
        members,
        LabelLosses.of(group.features.data_schema),
        how,
        DistillingSettings(
            rounds=training.rounds,
            epochs=training.epochs,
            patience=training.patience,
            batch_size=training.batch_size,
            learning_rate=float(training.learning_rate),
            seed=config.seed,
        ),
    )
    epochs = fit(program, context.resume, context.stop, epoch_report(context.progress, training.epochs))
    adopt_weights(context.store, f"{context.prefix}/meta-network.safetensors", network)
    figures = {member.scenario: transfer_figures(*program.transfer(n)) for n, member in enumerate(members)}
    for member in members:
        prefix = step_prefix(member.scenario, config.run, config.step)
        adopt_weights(context.store, f"{prefix}/weights.safetensors", member.model.cpu())
    return figures, epochs


def _published(member: Member, figures: dict[str, Metric], config: SamdConfig, context: StepContext) -> ModelCard:
    """Its model, and its own result."""
    store, wanted = context.store, member.config
    card = published_card(store, member.scenario, wanted.light_version)
    if card is None:
        evaluated: tuple[Split, ...] = ("validation", "test")
        metrics = {"transfer": figures}
        for name in evaluated:
            split = load_split(store, member.manifest, name, member.model.features)
            metrics[name] = evaluate(predict(member.model, split), split, member.model.features)
        release = Release(
            scenario=member.scenario,
            version=wanted.light_version,
            spec=wanted.model,
            manifest=member.manifest,
            metrics=metrics,
        )
        card = publish_model(
            store,
            member.model,
            release,
            max_latency_milliseconds=wanted.max_latency_milliseconds,
            parity_tolerance=config.parity_tolerance,
        )
    own = StepResult(
        step=config.step,
        identity=config.identity,
        scenario=member.scenario,
        run=config.run,
        outputs={**outputs_of_card(card), "architecture": served_family(wanted.model.family).words(wanted.model)},
        metrics=metrics_of_card(card),
        flops=card.flops,
        seed=config.seed,
    )
    write_object_if_absent(store, result_key(member.scenario, config.run, config.step), own)
    return card


def _result(
    group: Group,
    neighbors: list[Indices],
    cards: dict[str, ModelCard],
    epochs: int,
    config: SamdConfig,
    context: StepContext,
) -> StepResult:
    manifests = {member.scenario: member.config.manifest for member in group.members}
    keys = {scenario: result_key(scenario, config.run, config.step) for scenario in cards}
    result = context.result(
        outputs={
            "epochs": epochs,
            "refused": {
                scenario: {"reason": error.reason, "message": error.message}
                for scenario, error in group.refused.items()
            },
            "withoutNeighbors": [
                member.scenario for member, others in zip(group.members, neighbors, strict=True) if not len(others)
            ],
        },
        metrics={split: _means([card.metrics[split] for card in cards.values()]) for split in ("validation", "test")},
    )
    members = {
        scenario: MemberResult(
            manifest=manifests[scenario],
            result_key=key,
            result_sha256=hashlib.sha256(context.store.get(key)).hexdigest(),
        )
        for scenario, key in keys.items()
    }
    return result.model_copy(update={"members": members})


def _means(metrics: Sequence[dict[str, Metric]]) -> dict[str, Metric]:
    """By name, over those that have a value."""
    values: dict[str, list[float]] = {}
    for own in metrics:
        for name, one in own.items():
            if one.value is not None:
                values.setdefault(name, []).append(one.value)
    return {name: Metric(value=fmean(each)) for name, each in values.items()}
