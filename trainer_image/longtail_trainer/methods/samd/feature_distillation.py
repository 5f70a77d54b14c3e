"""What a sub-model's layers lack to those of the general model (SAMD, Eq. 10). Nothing here is learned.

A learned map of layers to one form could make all of them 0, and the loss with them.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from longtail_api.methods.samd import LayerDistance, LayerForm

Form = Callable[[Tensor], Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]


def batch_gram(layer: Tensor) -> Tensor:
    """(batch, width) → (batch, batch): how alike the samples are, each row of length 1 (or 0). Of any width."""
    return functional.normalize(layer @ layer.T, dim=1)


def attention_map(layer: Tensor) -> Tensor:
    """(batch, width) → (1, batch): how much each sample excites the layer, of length 1 (Zagoruyko and Komodakis, 2017).

    A vector has no place to attend to but its sample.
    """
    return functional.normalize(layer.square().mean(1), dim=0)[None]


def l1(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over rows of their L1 distance."""
    return (student - teacher).abs().sum(1).mean()


def l2(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over rows of their squared L2 distance."""
    return (student - teacher).square().sum(1).mean()


def mmd(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of the two sets of rows (Gretton et al., 2012, Eq. 5), by a Gaussian kernel of
    bandwidth 1, which is the length of a row."""

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        squares = one.square().sum(1)[:, None] + other.square().sum(1) - 2 * one @ other.T
        return (-squares / 2).exp().mean()

    return kernel(student, student) + kernel(teacher, teacher) - 2 * kernel(student, teacher)


FORMS: dict[LayerForm, Form] = {"BatchGram": batch_gram, "AttentionMap": attention_map}
DISTANCES: dict[LayerDistance, Distance] = {"L1": l1, "L2": l2, "Mmd": mmd}


def layer_distances(
    student: Sequence[Tensor], teacher: Sequence[Tensor], form: LayerForm, distance: LayerDistance
) -> Tensor:
    """(M_g, M_i) the distance of each layer of the sub-model from each of the general model.

    Layers are (batch, width), of the same samples.
    """
    students, teachers = ([FORMS[form](layer) for layer in layers] for layers in (student, teacher))
    between = DISTANCES[distance]
    return torch.stack([torch.stack([between(ours, theirs) for ours in students]) for theirs in teachers])
