"""What every operation of a search space is: the kinds of shape it works on, and the two things it can say of one."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from torch import nn

from longtail_trainer.operations.shapes import Shape

Taken = TypeVar("Taken", bound=Shape)


class Operation(ABC, Generic[Taken]):
    """One option of a search space: a map from a shape of a kind it takes to a shape of any kind.

    What its modules take and give is said by the kind (`operations.shapes`); samples of a batch never meet. Of a
    sequence they also take the mask (batch, length; true where there is an event): where it is false the output is 0,
    and the input there is never read; a sample without any event gives zeros; lengths start at 1.
    """

    takes: ClassVar[tuple[type[Shape], ...]]
    """The kinds, at least one; those of the type parameter."""

    @abstractmethod
    def build(self, shape: Taken) -> tuple[nn.Module, Shape]:
        """A module with fresh weights, and the shape it gives. Raises `ValueError` for sizes that it can't take."""

    @abstractmethod
    def flops(self, shape: Taken) -> int:
        """Floating-point operations of one sample of this shape, exact, so that a budget is a promise.

        Counted: two per multiply-add of convolutions and matrix products, and one per addition, multiplication,
        division or comparison of two activations. Not counted: biases, masks, activation functions, softmax.
        """


def keeping(operation: Operation[Taken], shape: Taken) -> nn.Module:
    """A module of the operation where the shape must stay as it is. Raises `ValueError` where it changes."""
    module, given = operation.build(shape)
    if given != shape:
        raise ValueError(f"{type(operation).__name__} gives {given} of {shape}, which has to stay as it is")
    return module
