"""Architecture search for the heavy model, without a budget (ALT III-B, after Fig. 3).

The paper takes AutoTransformer ([24]) and leaves the details to the search of the light model (III-D). So this is that
search at heavy size: the layers of the behavior encoders are searched by Gumbel-softmax and bilevel optimization
(Eq. 6 to 8) inside the whole heavy model, with labels instead of a teacher, and no FLOPs in the loss (λ = 0 in Eq. 4).
What is derived is the architecture of highest joint probability (Eq. 9, no budget).
"""

from collections.abc import Callable

import torch

from longtail_api.architecture import Architecture
from longtail_api.initialization_search import EncoderSearch
from longtail_api.light_model_search import GdasParameters
from longtail_api.store_objects import Features, LightArchitecture
from longtail_trainer.methods.alt.initialization.pool_rows import PoolRows
from longtail_trainer.models.alt_heavy.cell_layers import CellLayers
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.alt_heavy.sequence_layers import SEARCHED
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.search.evaluators.distribution import CurrentSample
from longtail_trainer.search.evaluators.gdas import GdasSettings, SuperModel, search
from longtail_trainer.search.evaluators.super_cell import SuperCell
from longtail_trainer.search.spaces.alt_cell import CellSpace, Costs, any_architecture
from longtail_trainer.training.loss import LabelLosses


def found_cell(
    features: Features,
    architecture: Architecture,
    spec: EncoderSearch,
    rows: PoolRows,
    *,
    batch_size: int,
    seed: int,
    device: torch.device,
    resume: ResumePoint,
    stop: Stop,
    after_epoch: Callable[[int, dict[str, float | str]], None],
) -> tuple[LightArchitecture, float]:
    """The most probable layers, and their joint log-probability. No validation row is looked at.

    Killed and resumed, it ends as it would have ended uninterrupted.
    """
    super_model = heavy_super_model(features, architecture, spec, seed)
    super_model.to_device(device)
    parameters = GdasParameters.model_validate({**spec.gdas.model_dump(), "flops_weight": 0})

    def told(epoch: int, figures: dict[str, float | str]) -> bool:
        after_epoch(epoch, figures)
        return False

    support, query = rows.load("support"), rows.load("query")
    if not len(support) or not len(query):  # a tiny pool has one set for both
        support = query = rows.training
    settings = GdasSettings(parameters, batch_size, seed)
    search(super_model, support, query, LabelLosses.of(features.data_schema), settings, resume, stop, told)
    each = super_model.distribution.log_probabilities()
    picks = tuple(options.index(max(options)) for options in each)
    return super_model.space.decode_picks(picks), sum(max(options) for options in each)


def heavy_super_model(
    features: Features, architecture: Architecture, spec: EncoderSearch, seed: int
) -> SuperModel[LightArchitecture, HeavyModel]:
    """A heavy model in whose behavior encoders every architecture of the space is present."""
    space = heavy_space(features, architecture, spec)
    cell = any_architecture(space.width, space.layers, space.heads, spec.operations[0])

    def build(current: CurrentSample) -> HeavyModel:
        return HeavyModel(features, SEARCHED, architecture, cell, lambda length: SuperCell(space, length, current))

    return SuperModel(space, build, seed)


def heavy_space(features: Features, architecture: Architecture, spec: EncoderSearch) -> CellSpace:
    """All layers that may be found, with the FLOPs of the whole heavy model for each."""
    width, heads = architecture.behavior_width, architecture.behavior_heads
    cell = any_architecture(width, spec.layers, heads, spec.operations[0])
    model = HeavyModel(features, SEARCHED, architecture, cell)
    shapes = [encoder.shape for encoder in model.encoders()]
    searched = [encoder.layers for encoder in model.encoders() if isinstance(encoder.layers, CellLayers)]
    cells = sum(layers.flops() - layers.fixed_flops() for layers in searched)
    costs = Costs.of(model.flops() - cells, shapes, spec.operations)
    return CellSpace.of(width, spec.layers, heads, spec.operations, costs)
