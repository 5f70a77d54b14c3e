"""What a comparison is made with: sizes, training and search of every method. Part of each cached row's identity."""

from decimal import Decimal
from typing import Literal

from benchmarks.comparison.folds import Splits
from benchmarks.comparison.rows import Frozen
from longtail_api.architecture import Architecture, Training
from longtail_api.initialization_search import EncoderSearch
from longtail_api.light_model_search import Algorithm, DifferentiableParameters, GdasParameters, SearchSpace, Teacher
from longtail_api.methods.alt import LightTraining
from longtail_api.store_objects import MetaUpdateParameters

Encoder = Literal["LSTM", "Transformer"]
SEARCHED_ENCODER = "NAS"
"""In place of an encoder: version 1 by architecture search. Table VI alone compares it."""
FirstEncoder = Literal["LSTM", "Transformer", "NAS"]
LIGHT_OPERATIONS: dict[str, str] = {"LSTM": "lstm", "Transformer": "transformer_block"}
"""Operation of the predefined light model's layers, by the heavy model's encoder (ALT V-A)."""
PAPER_OPERATIONS = [
    "conv1", "conv3", "conv5", "conv7", "dilated3", "dilated5", "dilated7",
    "average_pool3", "max_pool3", "lstm", "attention",
]  # fmt: skip
"""Candidates of the search in the paper's experiments (V-A; kernel 9 is in III-D only)."""


class Folding(Frozen):
    """How feedback reaches the agnostic model while scenarios arrive.

    in_flight: scenarios that run at the same time. 1: each starts from the version that all before it left.
    """

    mode: Literal["Async", "Synchronous", "Frozen"] = "Async"
    in_flight: int = 1
    staleness_exponent: float = 0.5


class Protocol(Frozen):
    """Everything but the data set, the seed and the number of initial scenarios."""

    splits: Splits = Splits()
    scenarios: int | tuple[str, ...] | None = None
    """The first so many by name, or those named; None: all. To all methods there are no others."""
    # The paper's heavy model (V-A): six layers, 15 hidden units, 32 intermediate; three heads divide 15.
    heavy: Architecture = Architecture(behavior_width=15, behavior_layers=6, behavior_heads=3, behavior_intermediate=32)
    encoder_search: EncoderSearch = EncoderSearch.model_validate({"operations": PAPER_OPERATIONS})
    """Of the initialization by architecture search, at the heavy model's width."""
    training: Training = Training()
    single: LightTraining = LightTraining(learning_rate=0.002)
    """SinH and profile-only: fresh weights on one scenario, so more and smaller steps than on a pool."""
    light_width: int = 15
    light_layers: int = 3
    light_training: LightTraining = LightTraining()
    algorithm: Algorithm = Algorithm()
    operations: list[str] = PAPER_OPERATIONS
    teacher: Teacher = Teacher()
    meta_update: MetaUpdateParameters = MetaUpdateParameters(learning_rate=0.01, staleness_exponent=0.5, clip_norm=1)
    """η and the clip norm of folding; the exponent is that of `Folding`."""
    threads: int = 1

    def search_space(self) -> SearchSpace:
        return SearchSpace.model_validate(
            {"layers": self.light_layers, "width": self.light_width, "operations": self.operations}
        )


PAPER = Protocol()
DEFAULTS = Protocol(heavy=Architecture(), light_width=SearchSpace().width, light_layers=SearchSpace().layers)
"""The sizes that a HeavyModel and a search have where nobody names any."""
SIZES = {"paper": PAPER, "defaults": DEFAULTS}
QUICK = Protocol(
    splits=Splits(rows=300),
    scenarios=3,
    heavy=Architecture(
        behavior_width=4, behavior_layers=2, embedding_size=3, profile_layers=[8], prediction_layers=[8]
    ),
    encoder_search=EncoderSearch(
        layers=2, operations=["conv1", "max_pool3", "lstm"], gdas=DifferentiableParameters(epochs=2)
    ),
    training=Training(epochs=3, fine_tune_epochs=2, batch_size=64, learning_rate=Decimal("0.01")),
    single=LightTraining(epochs=3, learning_rate=0.01),
    light_width=4,
    light_layers=2,
    light_training=LightTraining(epochs=4),
    algorithm=Algorithm(gdas=GdasParameters(epochs=2)),
    operations=["conv1", "conv3", "max_pool3", "lstm", "attention"],
)
"""Every part of the comparison, in seconds; its figures say nothing about the method."""
