"""An ONNX Runtime session of a small torch module, for parity tests."""

import logging
import warnings

import onnxruntime
import torch
from torch import Tensor, nn


def onnx_session(
    module: nn.Module, example: tuple[Tensor, ...], names: tuple[str, ...], dynamic_axes: int
) -> onnxruntime.InferenceSession:
    """Export `module` with so many dynamic axes (the batch; the batch and a length), and load it on one thread."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    axes = dict.fromkeys(range(dynamic_axes), torch.export.Dim.DYNAMIC)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(), example, dynamo=True, input_names=names, dynamic_shapes=(axes,) * len(example),
            opset_version=20, verbose=False,
        )  # fmt: skip
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options)
