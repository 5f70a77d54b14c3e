"""light: one scenario's light model, distilled from its heavy model: predefined (MeL), searched (Ours), ablated."""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from benchmarks.alt.methods import PREDEFINED, RANDOM, SEARCHED
from benchmarks.alt.protocol import LIGHT_OPERATIONS, Protocol
from benchmarks.alt.rows import Outcome, Row, Unit, figures
from benchmarks.alt.units.workplace import Prepared, Workplace, identity, owner
from longtail_api.run_config import SearchConfig, TrainLightConfig
from longtail_api.store_layout import architecture_key
from longtail_api.store_objects import Features, LightArchitecture, ModelCard
from longtail_store import read_object
from longtail_trainer.heavy.teacher import load_heavy
from longtail_trainer.light import LightModel, predefined_architecture
from longtail_trainer.search.space import space_of
from longtail_trainer.search.uniform import UniformSampler


@dataclass(frozen=True)
class Variant:
    """How a light model comes about. run: its number in the store, where adapt is run 1."""

    run: int
    architecture: Literal["predefined", "searched", "random"]
    taught: bool = True
    """Whether the heavy model teaches, in the search and in the training."""
    penalized: bool = True
    """Whether FLOPs are in the search's loss; the budget holds either way."""


VARIANTS = {
    PREDEFINED: Variant(1, "predefined"),
    SEARCHED: Variant(2, "searched"),
    "no-distillation": Variant(3, "searched", taught=False),
    "no-flops-term": Variant(4, "searched", penalized=False),
    RANDOM: Variant(5, "random"),
}
"""By method. All but MeL stay within MeL's FLOPs (ALT V-A)."""


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
    variant, protocol = VARIANTS[unit.variant], workplace.protocol
    chain = chain_unit(unit)
    before = workplace.cache.done(chain).outputs
    store = workplace.store(chain)
    prepared = Prepared.of(workplace, unit.seed)
    manifest = prepared.manifest(workplace, unit.scenario)
    heavy_result = before["heavyResults"][unit.scenario]
    encoder = unit.encoder or "LSTM"
    features = load_heavy(store, heavy_result).features
    limit = budget(features, protocol, encoder)
    teacher = protocol.teacher if variant.taught else protocol.teacher.model_copy(update={"weight": Decimal(0)})
    common = {
        "store": workplace.address(chain),
        "owner": owner(unit.scenario),
        "run": variant.run,
        "seed": unit.seed,
        "threads": protocol.threads,
        "manifest": prepared.manifests[unit.scenario],
        "base_version": 1,
        "heavy_result": heavy_result,
        "teacher": teacher,
        "max_flops": limit,
        "identity": identity({"unit": unit.model_dump_json()}),
    }
    seconds = 0.0
    architecture: LightArchitecture | None = None
    if variant.architecture == "predefined":
        architecture = predefined(protocol, encoder)
    elif variant.architecture == "random":
        space = space_of(features, protocol.search_space())
        architecture = space.architecture(
            UniformSampler(space, limit).draw(random.Random(f"{unit.seed} {owner(unit.scenario)}"))
        )
    else:
        algorithm = protocol.algorithm
        if not variant.penalized:
            gdas = algorithm.gdas.model_copy(update={"flops_weight": Decimal(0)})
            algorithm = algorithm.model_copy(update={"gdas": gdas})
        searched = workplace.carry_out(
            unit, SearchConfig(algorithm=algorithm, search_space=protocol.search_space(), **common)
        )
        seconds += searched.seconds
    trained = workplace.carry_out(
        unit,
        TrainLightConfig(
            architecture=architecture,
            search_result=None if architecture else architecture_key(owner(unit.scenario), variant.run),
            light_version=unit.variant,
            training=protocol.training,
            light_training=protocol.light_training,
            **common,
        ),
    )
    seconds += trained.seconds
    card = read_object(store, trained.outputs["cardKey"], ModelCard)
    row = Row(
        seed=unit.seed,
        scenario=unit.scenario,
        method=unit.variant,
        encoder=encoder,
        initial=unit.initial,
        training_rows=manifest.rows["support"] + manifest.rows["query"],
        flops=card.flops,
        parameters=sum(one.numel() for one in LightModel(features, card.architecture).parameters()),
        seconds=round(seconds, 3),
        pipeline_seconds=round(prepared.seconds[unit.scenario] + before["seconds"][unit.scenario] + seconds, 3),
        architecture=trained.outputs["architecture"],
        **figures(card.metrics["test"]),
    )
    return Outcome(rows=[row], outputs={"modelKey": trained.outputs["modelKey"]})
