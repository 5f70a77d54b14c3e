"""Ranks by torch.distributed: gloo between CPUs, NCCL between GPUs.

Words and decisions go by gloo, whatever the tensors are on, and never wait for a device.
"""

import os
import pickle
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from longtail_trainer.running.errors import Retryable, TrainerError, trainer_error
from longtail_trainer.running.ranks import LOCAL_RANK, RANK_LOST

JOINING = timedelta(minutes=2)
"""Longest wait for the others at the start. Their launchers have met; but one of them may have met an attempt that was
just ending, of which nobody comes any more."""
PROMPT = timedelta(minutes=10)
"""Longest wait for ranks that do the same work; then one of them is taken for lost."""
PATIENT = timedelta(days=8)
"""For what rank 0 does while the others wait, such as a whole search: its Job's deadline ends that."""
Result = TypeVar("Result")


@contextmanager
def together() -> Generator[None]:
    """What all ranks do at once: where it fails, one of them is gone, or can't be reached.

    torch tells that by errors of several types, of which gloo's is a plain RuntimeError. So it is told by where it
    comes from: nothing but the exchange itself belongs in here.
    """
    try:
        yield
    except RuntimeError as error:
        raise Retryable(f"another process of this step was lost; its log tells why ({error})", RANK_LOST) from error


class ProcessGroup:
    """The ranks of torch's default process group."""

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.world = distributed.get_world_size()
        self._words = _group(PATIENT)
        self._decisions = _group(PROMPT)

    def of_first(self, make: Callable[[], Result]) -> Result:
        """As `Ranks` says. What is given or raised must be such as pickle can copy."""
        if self.rank > 0:
            return self._told()
        try:
            given = make()
        except BaseException as error:  # a panic too: the others wait for a word
            self._tell(_Said(error=copyable(error)))
            raise
        self._tell(_Said(given))
        return given

    def any(self, told: bool) -> bool:
        """As `Ranks` says."""
        flag = torch.tensor([int(told)], dtype=torch.int32)
        with together():
            distributed.all_reduce(flag, distributed.ReduceOp.MAX, group=self._decisions)
        return bool(flag.item())

    def _tell(self, said: "_Said") -> None:
        with together():
            distributed.broadcast_object_list([said], src=0, group=self._words)

    def _told(self) -> Any:
        said: list[_Said] = [_Said()]
        with together():
            distributed.broadcast_object_list(said, src=0, group=self._words)
        if said[0].error is not None:
            raise said[0].error
        return said[0].given


@dataclass(frozen=True)
class _Said:
    """What rank 0 gives, or what it raised."""

    given: object = None
    error: BaseException | None = None


def _group(timeout: timedelta) -> distributed.ProcessGroup:
    with together():
        group = distributed.new_group(backend="gloo", timeout=JOINING)
    assert isinstance(group, distributed.ProcessGroup), "every rank is a member"
    distributed.set_timeout(timeout, group)
    return group


def copyable(error: BaseException) -> BaseException:
    """The error itself where a copy of it can be made, else one that ends the step alike: same exit code and reason.

    An error whose constructor takes more than a message is pickled, and fails only when it is read, by whatever its
    constructor raises. The ranks that wait would not learn of it, so that nothing may pass here.
    """
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        known = trainer_error(error)
        plain = next(kind for kind in type(known).__mro__ if kind.__module__ == TrainerError.__module__)
        return plain(known.message, known.reason)
    return error


@contextmanager
def joined() -> Generator[ProcessGroup]:
    """Meet all others, as torchrun's variables say where; in the end leave together. Raises `Retryable` (RankLost)."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get(LOCAL_RANK, "0")))
    with together():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=JOINING)
    try:
        ranks = ProcessGroup()
        distributed.set_timeout(PROMPT)
        yield ranks
        ranks.any(False)
    finally:
        distributed.destroy_process_group()
