"""The student's loss: hard labels and the teacher's (ALT Eq. 5)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from longtail_api.data_schema import DataSchema
from longtail_api.light_model_search import Teacher
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.rows import taught_labels
from longtail_trainer.training.loss import LabelLosses, constant


@dataclass(frozen=True)
class DistillationLosses(LabelLosses):
    """hard + δ · soft. The labels of its samples are the hard ones, then the teacher's logits (`with_teacher`).

    The soft loss is the cross entropy of student and teacher at the temperature, times its square, so that its
    gradients don't shrink with it; of a regression the squared difference. It also counts where the hard label is
    not observed. Hard and soft loss are terms of their own, each a mean over its own rows: δ is their ratio however
    many rows the teacher alone has labeled.
    """

    temperature: float = 1.0
    weight: float = 1.0
    """δ of Eq. 5."""

    @classmethod
    def taught(cls, schema: DataSchema, temperature: float, weight: float) -> "DistillationLosses":
        losses = LabelLosses.of(schema)
        return cls(losses.binary, losses.weights, temperature, weight)

    @property
    def term_weights(self) -> tuple[float, ...]:
        """Of the hard terms, then of the soft ones."""
        return (*self.weights, *(self.weight * one for one in self.weights))

    def terms(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(batch, 2 × labels): hard terms, then soft ones. labels: (batch, 2 × labels)."""
        hard, teacher = labels.chunk(2, dim=-1)
        entropy = functional.binary_cross_entropy_with_logits(
            logits / self.temperature, (teacher / self.temperature).sigmoid(), reduction="none"
        )
        binary = constant(self.binary, logits.device)
        soft = torch.where(binary, entropy * self.temperature**2, (logits - teacher) ** 2)
        return torch.cat([super().terms(logits, hard), soft], dim=-1)


def with_teacher(split: EncodedSplit, logits: Tensor, hard: Tensor | None = None) -> EncodedSplit:
    """The split with the teacher's logits (samples, labels) behind its labels, as `DistillationLosses` reads them.

    hard: (labels,) which of its own labels count beside the teacher's; None: all that are observed.
    """
    observed = split.observed if hard is None else split.observed & hard
    return replace(
        split,
        labels=torch.cat([split.labels, logits.to(split.labels)], dim=-1),
        observed=torch.cat([observed, torch.ones_like(observed)], dim=-1),
    )


def hard_labels(schema: DataSchema, teacher: Teacher, *rows: EncodedSplit) -> Tensor | None:
    """Which labels of a scenario with these training rows count beside the teacher's, for `with_teacher`.

    Of one class, a label says nothing but that class, and would teach the student to answer it whatever it is asked.
    Without a teacher there is nothing else to learn from.
    """
    return taught_labels(schema, *rows) if teacher.weight else None
