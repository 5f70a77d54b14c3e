"""Weights of a model as a safetensors file: named as in `state_dict()`, float32."""

from pathlib import Path

import safetensors.torch
from torch import nn

from longtail_store import Store
from longtail_trainer.running.errors import DataInvalid


def weights_bytes(model: nn.Module) -> bytes:
    """The model's weights; the same weights always give the same bytes."""
    return safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    )


def save_weights(model: nn.Module, path: Path) -> None:
    path.write_bytes(weights_bytes(model))


def set_weights(model: nn.Module, content: bytes) -> None:
    """Give `model` the weights of these bytes. Raises `DataInvalid` where they are those of another model."""
    weights = safetensors.torch.load(content)
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != own:
        raise DataInvalid(
            f"{len(weights)} stored weights don't fit the {len(own)} of the model that this trainer builds: "
            "another release made them, or for other features; let its next generation begin, then run again",
            reason="WeightsOfAnotherModel",
        )
    model.load_state_dict(weights)


def adopt_weights(store: Store, key: str, model: nn.Module) -> None:
    """Save the model's weights; where an earlier attempt did, those stand and the model gets them: what follows is
    theirs."""
    if not store.put_if_absent(key, weights_bytes(model)):
        set_weights(model, store.get(key))
