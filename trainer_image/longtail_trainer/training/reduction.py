"""Numbers of all ranks, summed: what makes the gradient of each that of the whole batch."""

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn

from longtail_trainer.running.process_group import together
from longtail_trainer.running.ranks import Ranks


def summed(numbers: Tensor, ranks: Ranks) -> Tensor:
    """The sum over all ranks, to the same bits on each; `numbers` itself for one process. No gradient flows through."""
    if ranks.world == 1:
        return numbers
    total = numbers.detach().clone()
    with together():
        distributed.all_reduce(total)
    return total


def sum_gradients(parameters: Iterable[nn.Parameter], ranks: Ranks) -> None:
    """Give every parameter the sum of its gradients over all ranks, in place of its own."""
    sum_in_place((parameter.grad for parameter in parameters if parameter.grad is not None), ranks)


def sum_in_place(tensors: Iterable[Tensor], ranks: Ranks) -> None:
    """Give every tensor the sum of those of all ranks.

    All of one type travel as one vector: these models are small, so that what counts is the number of messages.
    """
    if ranks.world == 1:
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for alike in by_type.values():
        total = summed(torch.cat([one.flatten() for one in alike]), ranks)
        first = 0
        for one in alike:
            one.copy_(total[first : first + one.numel()].view_as(one))
            first += one.numel()
