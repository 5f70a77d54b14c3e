"""The operations of every search space. A new one is one file here and one line in `OPERATIONS`.

Names are those of `longtail_api.light_model_search.OPERATION_NAMES`.
"""

from longtail_trainer.operations.attention import Attention
from longtail_trainer.operations.average_pooling import AveragePooling
from longtail_trainer.operations.contract import Operation, Shape
from longtail_trainer.operations.convolution import DILATION, Convolution
from longtail_trainer.operations.lstm import Lstm
from longtail_trainer.operations.max_pooling import MaxPooling

OPERATIONS: dict[str, Operation] = {
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
}

__all__ = ["OPERATIONS", "Operation", "Shape"]
