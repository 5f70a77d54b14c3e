"""The end of a training that stopped early: a few epochs from the best weights, at a rate that falls."""

import math
from typing import Any


class CoolDown:
    """Whether it has begun, and which of its epochs is which.

    A schedule that falls over many epochs is hardly below its full rate where a model overfits after the second one:
    the weights that are kept never saw a small step. The cool-down makes up for it.
    """

    def __init__(self) -> None:
        self.after = 0
        """The epoch after which it began; 0: it hasn't."""
        self.best = 0
        """The epoch whose weights and rate it starts from."""

    @property
    def begun(self) -> bool:
        return self.after > 0

    def begin(self, after: int, best: int) -> None:
        self.after, self.best = after, best

    @property
    def length(self) -> int:
        """Epochs: half as many as led to the best one, and at least two, so that there is a rate in between."""
        return max(2, self.best // 2)

    @property
    def end(self) -> int:
        """Its last epoch."""
        return self.after + self.length

    def share(self, epoch: int, final_share: float) -> float:
        """Of the best epoch's rate: half a cosine, below 1 in the first epoch, `final_share` in the last."""
        way = (epoch - self.after) / self.length
        return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * way))

    def state_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"after": self.after, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """What `state_dict` gave."""
        self.after, self.best = state_dict["after"], state_dict["best"]
