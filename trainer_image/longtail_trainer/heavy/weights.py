"""Weights of a heavy model as a safetensors file: named as in `state_dict()`, float32."""

from pathlib import Path

import safetensors.torch
from torch import nn


def weights_bytes(model: nn.Module) -> bytes:
    """The model's weights; the same weights always give the same bytes."""
    return safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    )


def save_weights(model: nn.Module, path: Path) -> None:
    path.write_bytes(weights_bytes(model))


def set_weights(model: nn.Module, content: bytes) -> None:
    """Give `model` the weights of these bytes, which must be of the same architecture and features."""
    model.load_state_dict(safetensors.torch.load(content))
