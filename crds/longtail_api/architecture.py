"""The sizes of ALT's heavy model and how it is trained: of a spec, of run configs and of versions in the store."""

from decimal import Decimal
from operator import not_
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from longtail_api.base import ApiModel
from longtail_api.rules import Rule
from longtail_api.values import Number


class Architecture(ApiModel):
    """Sizes of the heavy model. Immutable within a generation."""

    rules: ClassVar = (
        Rule(
            "self.behaviorWidth % self.behaviorHeads == 0",
            "behaviorWidth must be divisible by behaviorHeads; change one of the two",
            "behaviorHeads",
        ),
    )

    embedding_size: Annotated[int, Field(ge=1, le=256)] = 8
    """Width of the embedding of one categorical feature."""
    profile_layers: Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=8)] = [64, 32]
    """Widths of the profile encoder (ALT, Fig. 3)."""
    behavior_width: Annotated[int, Field(ge=1, le=1024)] = 32
    """Hidden width of the behavior encoder."""
    behavior_layers: Annotated[int, Field(ge=1, le=24)] = 2
    """Layers of the behavior encoder."""
    behavior_heads: Annotated[int, Field(ge=1, le=64)] = 1
    """Attention heads, for a Transformer encoder."""
    behavior_intermediate: Annotated[int, Field(ge=1, le=4096)] = 32
    """Width between the two linear layers of a Transformer block."""
    prediction_layers: Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=8)] = [
        64,
        16,
    ]
    """Widths of the prediction module (ALT, Fig. 3)."""
    dropout: Annotated[Decimal, Number(ge="0", lt="1")] = Decimal("0.1")
    """Dropout between layers."""
    # Left out where it is off: hashes of architectures from before there was any stay as they are.
    target_attention: Annotated[bool, Field(exclude_if=not_)] = False
    """Attention from the candidate to its history (Zhou et al., Deep Interest Network, 2018): from context features to
    the events of every sequence that shares a vocabulary with them (schema.sharedVocabularies)."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.behavior_width % self.behavior_heads:
            raise ValueError("behaviorWidth must be divisible by behaviorHeads; change one of the two")
        return self


class Training(ApiModel):
    """How the heavy model is trained and fine-tuned."""

    epochs: Annotated[int, Field(ge=1, le=1000)] = 20
    """Passes over the pooled support rows, at most; validation loss may end it earlier."""
    fine_tune_epochs: Annotated[int, Field(ge=1, le=1000)] = 15
    """Passes over one scenario's support rows, at most (ALT Eq. 1)."""
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 256
    """Samples of one gradient step."""
    learning_rate: Annotated[Decimal, Number(gt="0", le="1")] = Decimal("0.002")
    """Learning rate of the initial training."""
    fine_tune_batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Samples of one gradient step of the fine-tuning: smaller, since a scenario may have few."""
    fine_tune_learning_rate: Annotated[Decimal, Number(gt="0", le="1")] = Decimal("0.001")
    """γ of ALT Eq. 1."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 0
    """Seed of every random choice of the steps."""
