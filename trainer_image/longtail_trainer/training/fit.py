"""The loop that every training is: epochs, judged one by one, saved after each, ended early, stopped at any time."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.running.ranks import ALONE, AgreedStop, Ranks, SharedResume
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.training.checkpoint import Checkpoint, Progress, Stateful
from longtail_trainer.training.seeds import epoch_seed, seeded

Judgement = TypeVar("Judgement")
Judgement_co = TypeVar("Judgement_co", covariant=True)


class Program(Protocol[Judgement_co]):
    """One way to train: what an epoch's steps are, how its result is judged, and which weights remain.

    name: of its resume point. remedy: what a user does where the loss is no longer a number. What an epoch does may
    depend on its number, on `seed` and on `parts` alone: then a training that is killed and resumed ends bit for bit
    as it would have.
    """

    @property
    def name(self) -> str: ...

    @property
    def remedy(self) -> str: ...

    @property
    def seed(self) -> int: ...

    @property
    def epochs(self) -> int:
        """How many there are, at most."""
        ...

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """All that epochs change, by name: modules, optimizers, the best epoch so far."""
        ...

    def start(self, stop: Stop) -> None:
        """Judge what there is before the first epoch. Not called where a training is resumed."""
        ...

    def train(self, epoch: int, stop: Stop) -> float:
        """The steps of an epoch (from 1); their mean loss. Torch's random numbers are seeded for it."""
        ...

    def judge(self, epoch: int, stop: Stop) -> Judgement_co:
        """Judge what the epoch came to, and keep it where it is better than all before."""
        ...

    def is_over(self, epoch: int) -> bool:
        """Whether training ends early, after the judgement of this epoch, or (0) of the start."""
        ...

    def end(self) -> None:
        """Leave the result in place."""
        ...


def fit(
    program: Program[Judgement],
    resume: ResumePoint | None,
    stop: Stop,
    report: Callable[[int, float, Judgement], None] = lambda epoch, loss, judgement: None,
    origin: str = "",
    ranks: Ranks = ALONE,
) -> int:
    """Run the program to its end; the number of epochs that took.

    After each epoch the whole state is saved under `resume` (None: nothing is), then `report(epoch, training loss,
    judgement)` is called. A saved state is gone on from, if it has the same `origin`; on the same machine with the
    same number of threads the result is that of an uninterrupted run, bit for bit.

    Where several ranks train, what an epoch came to is what it came to on rank 0: all go on from its parts, and end
    together. Only rank 0 saves and reports.

    Raises `ConfigInvalid` (TrainingDiverged) where the training loss is no longer a number, and what `stop` raises.
    """
    if ranks.world > 1:
        stop, resume = AgreedStop(stop, ranks), None if resume is None else SharedResume(resume, ranks)
    checkpoint = Checkpoint(program.name, program.parts, resume, origin)
    progress = checkpoint.load()
    if progress is None:
        program.start(stop)
        checkpoint.agree(ranks)
        progress = Progress(0, program.is_over(0))
        checkpoint.save(progress)
    while progress.epoch < program.epochs and not progress.over:
        epoch = progress.epoch + 1
        with seeded(epoch_seed(program.seed, epoch)):
            loss = program.train(epoch, stop)
        if ranks.any(not math.isfinite(loss)):
            raise ConfigInvalid(
                f"the training loss of epoch {epoch} is {loss}; {program.remedy}", reason="TrainingDiverged"
            )
        judgement = program.judge(epoch, stop)
        checkpoint.agree(ranks)
        progress = Progress(epoch, program.is_over(epoch))
        checkpoint.save(progress)
        told = partial(report, epoch, loss, judgement)
        ranks.of_first(told)
        stop.raise_if_requested()
    program.end()
    return progress.epoch
