"""Gradients in the form the store keeps them."""

# torch types `named_modules` loosely.
# pyright: reportUnknownVariableType=false

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn

from longtail_store.feedback import Gradient, RowSparse


def stored_gradients(gradients: Mapping[str, Tensor], model: nn.Module) -> dict[str, Gradient]:
    """float32 arrays; of an embedding only the rows that the query set touched."""
    embeddings = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Embedding)}
    return {name: _rows(one) if name in embeddings else _array(one) for name, one in gradients.items()}


def _array(gradient: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return gradient.cpu().numpy().astype(np.float32)


def _rows(gradient: Tensor) -> RowSparse:
    values = _array(gradient)
    rows = np.flatnonzero(np.any(values != 0, axis=1))
    return RowSparse(rows.astype(np.int64), values[rows])
