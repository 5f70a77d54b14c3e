"""What the API server would not take: the outcome of carrying a plan out, which the next decision sees.

A plan is made without asking the API server, so that a refusal (an admission policy, a webhook, a quota, missing
rights, a name that is somebody else's) is known only once a child is applied. It is remembered here by child, and is
part of the world from then on: the plan puts it into the condition of the step that the child belongs to. It is
forgotten when the child is taken. What is refused once may be a moment's conflict; what is refused twice in a row is
told.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from longtail_operator.kubernetes.objects import Key
from longtail_operator.kubernetes.trouble import Trouble

FIRST_RETRY, LONGEST_RETRY = 0.25, 60.0
"""Seconds until what was refused is tried again; each further time twice as long. Mended, it is told within these."""


@dataclass(frozen=True)
class Obstacle:
    """Why a child is not as it should be."""

    trouble: Trouble
    lasting: bool = False
    """Whether it is known the first time that trying again at once is of no use."""


@dataclass(frozen=True)
class _Met:
    obstacle: Obstacle
    times: int

    @property
    def is_told(self) -> bool:
        return self.obstacle.lasting or self.times > 1


class Obstacles:
    """What stands in the way of each resource's children."""

    def __init__(self) -> None:
        self._met: dict[Key, dict[Key, _Met]] = {}

    def told(self, owner: Key) -> dict[Key, Trouble]:
        """By child: what a decision about `owner` should know."""
        return {key: met.obstacle.trouble for key, met in self._met.get(owner, {}).items() if met.is_told}

    def settle(self, owner: Key, met: Mapping[Key, Obstacle]) -> float | None:
        """A plan was carried out and met these. Seconds until `owner` is to be decided about anew; None: no need.

        At once where there is another child to tell about, or one less; not where only words have changed, which
        may hold the name of something made anew each time.
        """
        before = self.told(owner).keys()
        known = self._met.pop(owner, {})
        if met:
            self._met[owner] = {
                key: _Met(obstacle, known[key].times + 1 if key in known else 1) for key, obstacle in met.items()
            }
        if before != self.told(owner).keys():
            return 0.0
        if not met:
            return None
        tries = max(one.times for one in self._met[owner].values())
        return min(FIRST_RETRY * 2.0 ** min(tries - 1, 30), LONGEST_RETRY)

    def forget(self, owner: Key) -> None:
        self._met.pop(owner, None)
