"""light: one scenario's light model, distilled from its heavy model: predefined (MeL), searched (Ours), ablated."""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import safetensors.numpy

from benchmarks.alt.methods import PREDEFINED, PREDEFINED_AGAIN, RANDOM, SEARCHED
from benchmarks.alt.protocol import LIGHT_OPERATIONS, Protocol
from benchmarks.alt.rows import Outcome, Row, Unit
from benchmarks.alt.units.workplace import Prepared, Workplace, identity, owner
from benchmarks.comparison.rows import figures
from longtail_api.light_model_search import Algorithm, Teacher
from longtail_api.methods.alt import SearchConfig, TrainLightConfig
from longtail_api.store_layout import architecture_key, step_prefix
from longtail_api.store_objects import Features, LightArchitecture, ModelCard, StepResult
from longtail_store import read_object
from longtail_trainer.methods.alt.teacher import load_heavy
from longtail_trainer.models.alt_light.model import LightModel, predefined_architecture
from longtail_trainer.search.samplers.uniform import UniformSampler
from longtail_trainer.search.spaces.alt_cell import space_of


@dataclass(frozen=True)
class Variant:
    """How a light model comes about. run: its number in the store, where adapt is run 1."""

    run: int
    architecture: Literal["predefined", "searched", "random"]
    taught: bool = True
    """Whether the heavy model teaches, in the search and in the training."""
    transferred: bool = True
    """Whether the teacher also labels rows of the pool's other scenarios."""
    penalized: bool = True
    """Whether FLOPs are in the search's loss; the budget holds either way."""


VARIANTS = {
    PREDEFINED: Variant(1, "predefined"),
    SEARCHED: Variant(2, "searched"),
    "no-distillation": Variant(3, "searched", taught=False, transferred=False),
    "own-rows-only": Variant(6, "searched", transferred=False),
    "no-flops-term": Variant(4, "searched", penalized=False),
    RANDOM: Variant(5, "random"),
    PREDEFINED_AGAIN: Variant(7, "predefined"),
}
"""By method. All but MeL stay within MeL's FLOPs (ALT V-A)."""


def version_name(method: str) -> str:
    """Of its light models, in the store."""
    return method.replace(",", "").replace(" ", "-")


def chain_unit(unit: Unit) -> Unit:
    """The chain whose heavy models teach; light models are made in its store."""
    return unit.model_copy(update={"kind": "chain", "scenario": "", "variant": ""})


def predefined(protocol: Protocol, encoder: str) -> LightArchitecture:
    return predefined_architecture(protocol.light_width, protocol.light_layers, LIGHT_OPERATIONS[encoder])


def budget(features: Features, protocol: Protocol, encoder: str) -> int:
    """FLOPs of the predefined light model: the upper bound of every other one."""
    return LightModel(features, predefined(protocol, encoder)).flops()


def run(unit: Unit, workplace: Workplace) -> Outcome:
    """One row. Outputs: `modelKey`, the exported model in the chain's store."""
    chain = chain_unit(unit)
    before = workplace.cache.done(chain).outputs
    store = workplace.store(chain)
    prepared = Prepared.of(workplace, unit.seed)
    manifest = prepared.manifest(workplace, unit.scenario)
    heavy_result = before["heavyResults"][unit.scenario]
    features = load_heavy(store, heavy_result).features
    inputs = _inputs(unit, workplace, prepared.manifests[unit.scenario], heavy_result, features)
    seconds, trained = _trained(unit, workplace, features, inputs)
    card = read_object(store, trained.outputs["cardKey"], ModelCard)
    weights = f"{step_prefix(owner(unit.scenario), VARIANTS[unit.variant].run, 'train-light')}/weights.safetensors"
    earlier = prepared.seconds[unit.scenario] + before["seconds"][unit.scenario]
    row = Row(
        seed=unit.seed,
        scenario=unit.scenario,
        method=unit.variant,
        encoder=unit.encoder or "",
        initial=unit.initial,
        training_rows=manifest.rows["support"] + manifest.rows["query"],
        flops=card.flops,
        parameters=_parameters(store.get(weights)),
        seconds=round(seconds, 3),
        pipeline_seconds=round(earlier + seconds, 3),
        architecture=trained.outputs["architecture"],
        **figures(card.metrics["test"]),
    )
    return Outcome(rows=[row], outputs={"modelKey": trained.outputs["modelKey"]})


def _parameters(weights: bytes) -> int:
    """How many numbers the trained model has: its vocabularies are those of its rows, not those of the features."""
    return sum(one.size for one in safetensors.numpy.load(weights).values())


def _inputs(unit: Unit, workplace: Workplace, manifest: str, heavy_result: str, features: Features) -> dict[str, Any]:
    """Fields that the configs of search and train-light share."""
    variant, protocol = VARIANTS[unit.variant], workplace.protocol
    return {
        "store": workplace.address(chain_unit(unit)),
        "owner": owner(unit.scenario),
        "run": variant.run,
        "seed": unit.training_seed(),
        "threads": protocol.threads,
        "manifest": manifest,
        "base_version": read_object(workplace.store(chain_unit(unit)), heavy_result, StepResult).outputs[
            "agnosticVersion"
        ],
        "heavy_result": heavy_result,
        "teacher": teacher_of(variant, protocol),
        "max_flops": budget(features, protocol, unit.encoder or "LSTM"),
        "identity": identity({"unit": unit.model_dump_json()}),
    }


def _trained(unit: Unit, workplace: Workplace, features: Features, inputs: dict[str, Any]) -> tuple[float, StepResult]:
    """Seconds of search and training, and the training's result."""
    variant, protocol = VARIANTS[unit.variant], workplace.protocol
    seconds = 0.0
    if variant.architecture == "searched":
        config = SearchConfig(algorithm=_algorithm(variant, protocol), search_space=protocol.search_space(), **inputs)
        seconds += workplace.carry_out(unit, config).seconds
        source: dict[str, Any] = {"search_result": architecture_key(owner(unit.scenario), variant.run)}
    elif variant.architecture == "random":
        space = space_of(features, protocol.search_space())
        draw = random.Random(f"{unit.seed} {owner(unit.scenario)}")
        source = {"architecture": space.decode_picks(UniformSampler(space, inputs["max_flops"]).draw(draw))}
    else:
        source = {"architecture": predefined(protocol, unit.encoder or "LSTM")}
    config = TrainLightConfig(
        light_version=version_name(unit.variant),
        training=protocol.training,
        light_training=protocol.light_training,
        **source,
        **inputs,
    )
    trained = workplace.carry_out(unit, config)
    return seconds + trained.seconds, trained


def teacher_of(variant: Variant, protocol: Protocol) -> Teacher:
    """Rows of others have no labels of their own: without a teacher they would only dilute the batches."""
    changes: dict[str, object] = {} if variant.taught else {"weight": Decimal(0)}
    if not (variant.taught and variant.transferred):
        changes["transfer_rows"] = 0
    return protocol.teacher.model_copy(update=changes)


def _algorithm(variant: Variant, protocol: Protocol) -> Algorithm:
    if variant.penalized:
        return protocol.algorithm
    gdas = protocol.algorithm.gdas.model_copy(update={"flops_weight": Decimal(0)})
    return protocol.algorithm.model_copy(update={"gdas": gdas})
