"""Padding kept out of a computation, in any floating-point type."""

import torch
from torch import Tensor, where


def lowest(dtype: torch.dtype) -> float:
    """A value that stands for "nothing here" under a softmax or a maximum: half of the most negative number.

    Finite, and still so after a score is subtracted from it: −∞ would make 0/0 or 0 × ∞ of a sample without events.
    """
    return torch.finfo(dtype).min / 2


def keep(x: Tensor, mask: Tensor) -> Tensor:
    """`x` (batch, length, width) where `mask` (batch, length) is true, else 0, even where `x` is not a number."""
    return where(mask.unsqueeze(-1), x, 0.0)
