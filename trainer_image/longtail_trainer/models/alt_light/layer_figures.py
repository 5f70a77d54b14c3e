"""Figures of a light model's layers: what each costs, and how much it counts in the attentive sum."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.models.blocks.cell import FixedCell
from longtail_trainer.training.scoring import predict


def layer_weights(model: LightModel, split: EncodedSplit) -> dict[str, list[float]]:
    """The mean weight of each layer over the samples of `split`, by sequence; empty where there is no sample."""
    if not len(split):
        return {}
    layers = len(model.architecture.layers)
    totals = {name: torch.zeros(layers) for name in model.columns.sequences}
    encoders = dict(zip(totals, model.encoders(), strict=True))

    def adds(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            totals[name] += output.detach().softmax(dim=1).sum(0).squeeze(-1).cpu()

        return hook

    # `attend` gives what the weights are the softmax of, (samples, layers, 1); with one layer it isn't asked.
    handles = [encoder.attend.register_forward_hook(adds(name)) for name, encoder in encoders.items()]
    try:
        predict(model, split)
    finally:
        for handle in handles:
            handle.remove()
    if layers == 1:
        return {name: [1.0] for name in totals}
    return {name: (total / len(split)).tolist() for name, total in totals.items()}


def layer_flops(model: LightModel) -> list[int]:
    """FLOPs of each layer of the architecture, all sequences together."""
    cells = [encoder.cell for encoder in model.encoders()]
    by_cell = [cell.layer_flops() for cell in cells if isinstance(cell, FixedCell)]
    return [sum(flops) for flops in zip(*by_cell, strict=True)] or [0] * len(model.architecture.layers)
