"""The operations of every search space. A new one is one file here and one line in `OPERATIONS`.

A space of sequences (the cells of ALT) takes its options from `operations_of(Sequence)`, whose names are those of
`longtail_api.light_model_search.OPERATION_NAMES`; spaces of fields or of vectors take theirs likewise.
"""

from typing import Any, TypeVar

from longtail_trainer.operations.attention import Attention
from longtail_trainer.operations.average_pooling import AveragePooling
from longtail_trainer.operations.contract import Operation, keeping
from longtail_trainer.operations.convolution import DILATION, Convolution
from longtail_trainer.operations.fm import FactorizationMachine
from longtail_trainer.operations.linear import Linear
from longtail_trainer.operations.lstm import Lstm
from longtail_trainer.operations.max_pooling import MaxPooling
from longtail_trainer.operations.shapes import Fields, Sequence, Shape, Vector
from longtail_trainer.operations.transformer_block import TransformerBlock

OPERATIONS: dict[str, Operation[Any]] = {
    "conv1": Convolution(1),
    "conv3": Convolution(3),
    "conv5": Convolution(5),
    "conv7": Convolution(7),
    "conv9": Convolution(9),
    "dilated3": Convolution(3, DILATION),
    "dilated5": Convolution(5, DILATION),
    "dilated7": Convolution(7, DILATION),
    "dilated9": Convolution(9, DILATION),
    "average_pool3": AveragePooling(3),
    "max_pool3": MaxPooling(3),
    "lstm": Lstm(),
    "attention": Attention(),
    "transformer_block": TransformerBlock(),
    "fm": FactorizationMachine(),
    "linear": Linear(),
}

Kind = TypeVar("Kind", bound=Shape)


def operations_of(kind: type[Kind]) -> dict[str, Operation[Kind]]:
    """Those that take this kind of shape, by name, in the order of `OPERATIONS`."""
    return {name: operation for name, operation in OPERATIONS.items() if kind in operation.takes}


__all__ = ["OPERATIONS", "Fields", "Operation", "Sequence", "Shape", "Vector", "keeping", "operations_of"]
