"""Small graphs by whose times an operation's own is known: chains of copies of it, exported as a light model is."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

import time
from collections import abc

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, utils
from torch import Tensor, nn

from longtail_trainer.export.core_graph import exported
from longtail_trainer.export.latency import Timer
from longtail_trainer.export.runtime import session
from longtail_trainer.operations import Sequence, keeping, operations_of

INPUT, MASK = "x", "mask"


class _EveryOperation(nn.Module):
    """Each operation once, all on the same input."""

    def __init__(self, operations: abc.Sequence[str], shape: Sequence) -> None:
        super().__init__()
        every = operations_of(Sequence)
        self.operations = nn.ModuleList(keeping(every[name], shape) for name in operations)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        return tuple(operation(x, mask) for operation in self.operations)


def operation_graphs(operations: abc.Sequence[str], shape: Sequence) -> dict[str, onnx.ModelProto]:
    """A graph (x, mask) → x of each operation, cut out of one export: exporting takes longer than measuring.

    Graphs are of any length, so `shape.length` may be that of any sequence.
    """
    with torch.random.fork_rng():
        module = _EveryOperation(operations, shape)
    dynamic = torch.export.Dim.DYNAMIC
    axes: dict[int, object] = {0: dynamic, 1: dynamic}
    x, mask = torch.zeros(3, 5, shape.width), torch.ones(3, 5, dtype=torch.bool)
    whole = exported(module, (x, mask), [INPUT, MASK], list(operations), {INPUT: axes, MASK: axes})
    parts = utils.Extractor(whole)
    return {name: parts.extract_model([INPUT, MASK], [name]) for name in operations}


class Chains:
    """Chains of one operation, of residual edges, or of nothing, as timers at batch 1.

    like: a graph of `operation_graphs`, for the versions of the operator set. width: of every event.
    """

    def __init__(self, like: onnx.ModelProto, width: int) -> None:
        self._like = like
        self._width = width

    def of_operation(self, graph: onnx.ModelProto, copies: int, length: int) -> Timer:
        """Each copy reads the one before, and a mask of its own: else the runtime would compute what all make of the
        mask only once, as it does not where each layer has another operation."""
        nodes: list[onnx.NodeProto] = []
        constants: list[onnx.TensorProto] = []
        last = INPUT
        for copy in range(copies):
            # Weights of its own too: in a model no two layers read the same ones from the processor's cache.
            renamed = {INPUT: last, MASK: f"{MASK}{copy}", "": ""}
            for constant in graph.graph.initializer:
                constants.append(onnx.TensorProto())
                constants[-1].CopyFrom(constant)
                constants[-1].name = renamed.setdefault(constant.name, f"{copy}/{constant.name}")
            for node in graph.graph.node:
                nodes.append(onnx.NodeProto())
                nodes[-1].CopyFrom(node)
                nodes[-1].name = f"{copy}/{node.name}"
                for names in (nodes[-1].input, nodes[-1].output):
                    names[:] = [renamed.setdefault(name, f"{copy}/{name}") for name in names]
            last = renamed[graph.graph.output[0].name]
        return self._timer(nodes, constants, last, copies, length)

    def of_edges(self, copies: int, length: int) -> Timer:
        """Additions, each of the one before and the original input."""
        nodes = [helper.make_node("Relu", [INPUT], ["0"])]
        nodes += [helper.make_node("Add", [str(copy), INPUT], [str(copy + 1)]) for copy in range(copies)]
        return self._timer(nodes, [], str(copies), 0, length)

    def of_masks(self, count: int, length: int) -> Timer:
        """Nothing but so many masks that are handed in."""
        return self._timer([helper.make_node("Relu", [INPUT], ["0"])], [], "0", count, length)

    def _timer(
        self, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], output: str, masks: int, length: int
    ) -> Timer:
        names = [f"{MASK}{number}" for number in range(masks)]
        shape = ["batch", "length", self._width]
        inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)]
        inputs += [helper.make_tensor_value_info(name, TensorProto.BOOL, shape[:2]) for name in names]
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)]
        graph = helper.make_graph(nodes, "chain", inputs, outputs, initializer=constants)
        model = helper.make_model(graph, opset_imports=self._like.opset_import)
        model.ir_version = self._like.ir_version
        runtime = session(model.SerializeToString())
        values = np.random.default_rng(0).standard_normal((1, length, self._width)).astype(np.float32)
        feed = {INPUT: values, **dict.fromkeys(names, np.ones((1, length), dtype=np.bool_))}

        def seconds() -> float:
            start = time.perf_counter()
            runtime.run(None, feed)
            return time.perf_counter() - start

        return seconds
