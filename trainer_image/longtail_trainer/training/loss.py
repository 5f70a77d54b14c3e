"""The loss of all labels: cross entropy for binary ones, squared error for (standardized) regressions."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from longtail_api.data_schema import DataSchema


@dataclass(frozen=True)
class LabelLosses:
    """Type and weight of each label, in the order of the schema.

    The loss is a weighted sum of terms, one for each label: each is a mean over the rows on which the label is
    observed, by their weights. So a label that few rows have counts as much as one that all have.
    """

    binary: tuple[bool, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, schema: DataSchema) -> "LabelLosses":
        return cls(
            tuple(label.type == "binary" for label in schema.labels),
            tuple(float(label.weight) for label in schema.labels),
        )

    @property
    def term_weights(self) -> tuple[float, ...]:
        """How much each term counts."""
        return self.weights

    def terms(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(batch, terms): the loss of each sample in each term, whether or not it is observed."""
        entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        return torch.where(constant(self.binary, logits.device), entropy, (logits - labels) ** 2)

    def each(self, logits: Tensor, labels: Tensor, observed: Tensor, shares: Tensor | None = None) -> Tensor:
        """(batch,) loss of each sample: the weighted sum over its observed terms; 0 where none is observed.

        shares: (terms,) what `shares` gives for the rows over which the mean is to be taken; 1 each by default.
        """
        weights = constant(self.term_weights, logits.device, logits.dtype)
        if shares is not None:
            weights = weights * shares.to(weights)
        return (self.terms(logits, labels) * weights * observed).sum(-1)

    def totals(self, observed: Tensor, weight: Tensor) -> Tensor:
        """(1 + terms,) float64: the weight of all rows, then of those that observe each term. Of parts, they add up."""
        rows = weight.double()
        # In double precision, so that the same sum in another order still gives the same shares.
        return torch.cat([rows.sum()[None], (rows[:, None] * observed).sum(0)])

    def shares(self, observed: Tensor, weight: Tensor) -> Tensor:
        """(terms,) by how much fewer rows observe a term than there are: all rows' weight ÷ the observed rows'.

        With it, the mean of `each` over all rows is a mean over observed rows in every term. 0 for a term that no row
        observes, exactly 1 for one that all do.
        """
        return _shares(self.totals(observed, weight)).to(weight.dtype)

    def mean(self, logits: Tensor, labels: Tensor, observed: Tensor, weight: Tensor) -> Tensor:
        """The loss of these samples: of each term the mean over its observed rows; 0 where nothing is observed."""
        each = self.each(logits, labels, observed, self.shares(observed, weight))
        return (each * weight).sum() / weight.sum().clamp(min=1e-12)

    def part_of_mean(self, logits: Tensor, labels: Tensor, observed: Tensor, weight: Tensor, totals: Tensor) -> Tensor:
        """What these samples are of the mean over all that `totals` are of; such parts add up to `mean` of them all."""
        each = self.each(logits, labels, observed, _shares(totals))
        return (each * weight).sum() / totals[0].to(weight.dtype).clamp(min=1e-12)


def _shares(totals: Tensor) -> Tensor:
    rows, weights = totals[0], totals[1:]
    return torch.where(weights > 0, rows / weights.clamp(min=1e-300), 0)


@lru_cache(maxsize=64)
def constant(
    values: tuple[bool, ...] | tuple[float, ...], device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """These values as a tensor, made once: a copy to an accelerator in every step would be waited for."""
    return torch.tensor(values, device=device, dtype=dtype)
