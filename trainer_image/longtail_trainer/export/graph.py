"""The light model as one ONNX graph: raw feature values in, one answer per label out."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

import onnx
from onnx import compose

from longtail_trainer.export.core_graph import core_graph, core_inputs
from longtail_trainer.export.feature_graph import feature_graph
from longtail_trainer.models.contract import ServedModel

PREFIX = "core/"
"""Before every name of the network's graph, so that none meets a feature's."""


def export(model: ServedModel) -> bytes:
    """The serialized graph, whose inputs and outputs are those of `signature`. The same weights give the same bytes."""
    front = feature_graph(model)
    core = compose.add_prefix(core_graph(model.eval()), PREFIX)
    front.ir_version = core.ir_version
    merged = compose.merge_models(front, core, io_map=[(name, PREFIX + name) for name in core_inputs(model)])
    _rename_outputs(merged)
    merged.producer_name, merged.producer_version = "longtail", ""
    merged.graph.name = "light-model"
    onnx.checker.check_model(merged)
    return merged.SerializeToString(deterministic=True)


def _rename_outputs(model: onnx.ModelProto) -> None:
    """Drop the prefix from the outputs: they are named as the labels."""
    renamed = {output.name: output.name.removeprefix(PREFIX) for output in model.graph.output}
    for node in model.graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name in renamed:
                    names[position] = renamed[name]
    for output in model.graph.output:
        output.name = renamed[output.name]
