"""The rows of the pool that a search may see: no test row is among them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from longtail_trainer.data.encoded import EncodedSplit


@dataclass(frozen=True)
class PoolRows:
    """training: support and query rows of all scenarios, which a model is trained on. validations: of each scenario.

    load: one of the two parts of `training` by itself, for a search that learns weights on the one and the
    architecture on the other. Loaded when asked for: most initializations search nothing, and have one copy.
    """

    training: EncodedSplit
    validations: list[EncodedSplit]
    load: Callable[[Literal["support", "query"]], EncodedSplit]
