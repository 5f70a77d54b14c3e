"""The loss of all labels: cross entropy for binary ones, squared error for (standardized) regressions."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from longtail_api.data_schema import DataSchema
from longtail_trainer.data.encoded import EncodedSplit, batches


@dataclass(frozen=True)
class LabelLosses:
    """Type and weight of each label, in the order of the schema."""

    binary: tuple[bool, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, schema: DataSchema) -> "LabelLosses":
        return cls(
            tuple(label.type == "binary" for label in schema.labels),
            tuple(float(label.weight) for label in schema.labels),
        )

    def each(self, logits: Tensor, labels: Tensor, observed: Tensor) -> Tensor:
        """(batch,) loss of each sample: the weighted sum over its observed labels; 0 where none is observed."""
        binary = torch.tensor(self.binary, device=logits.device)
        weights = torch.tensor(self.weights, dtype=logits.dtype, device=logits.device)
        entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        losses = torch.where(binary, entropy, (logits - labels) ** 2)
        return (losses * weights * observed).sum(-1)

    def mean(self, logits: Tensor, labels: Tensor, observed: Tensor, weight: Tensor) -> Tensor:
        """Mean over samples by their weights; 0 where all weigh nothing."""
        return (self.each(logits, labels, observed) * weight).sum() / weight.sum().clamp(min=1e-12)


@torch.no_grad()
def mean_loss(model: nn.Module, split: EncodedSplit, losses: LabelLosses, batch_size: int = 4096) -> float:
    """Loss of a whole split, in evaluation mode; NaN where it has no sample that weighs anything."""
    parameter = next(model.parameters())
    model.eval()
    total = 0.0
    weight = 0.0
    for batch in batches(split, batch_size):
        batch = batch.to(parameter.device, parameter.dtype)
        each = losses.each(model(batch), batch.labels, batch.observed)
        total += float((each * batch.weight).sum())
        weight += float(batch.weight.sum())
    return total / weight if weight > 0 else float("nan")
