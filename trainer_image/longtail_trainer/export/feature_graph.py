"""Encoding as ONNX: raw feature values in, encoded columns out. The arithmetic is that of `features/encoding.py`."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from longtail_api.data_schema import length_column
from longtail_api.store_objects import Features
from longtail_trainer.export.core_graph import OPSET
from longtail_trainer.export.signature import inputs_of
from longtail_trainer.models.columns import SelectedColumns
from longtail_trainer.models.contract import ServedModel

ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 3
ELEMENT_TYPES = {"BYTES": TensorProto.STRING, "FP32": TensorProto.FLOAT, "INT64": TensorProto.INT64}
SYMBOLS = {-1: "batch"}


class _Builder:
    """Nodes and constants of a graph under construction. Names of ours have a slash, as no feature or label has."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.outputs: list[onnx.ValueInfoProto] = []

    def node(self, operator: str, inputs: Sequence[str], name: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def integers(self, *values: int) -> str:
        return self.constant("constant/" + ",".join(map(str, values)), np.array(values, dtype=np.int64))

    def output(self, source: str, name: str, element_type: int, rank: int) -> None:
        self.node("Identity", [source], name)
        self.outputs.append(helper.make_tensor_value_info(name, element_type, [None] * rank))


def feature_graph(model: ServedModel) -> onnx.ModelProto:
    """From the inputs of `inputs_of(model)` to those of `core_inputs(model)`.

    Arrays of length 0 are fine: every sequence is padded to one position at least, which the mask hides.
    """
    builder = _Builder()
    _table(builder, "static", model.columns.static, model.features, pads=None)
    for sequence, columns in model.columns.sequences.items():
        _sequence(builder, sequence, columns, model.features)
    inputs = [
        helper.make_tensor_value_info(
            spec.name,
            ELEMENT_TYPES[spec.datatype],
            [SYMBOLS.get(axis, f"length of {spec.name}") for axis in spec.shape],
        )
        for spec in inputs_of(model)
    ]
    graph = helper.make_graph(
        builder.nodes, "features", inputs, builder.outputs, initializer=list(builder.constants.values())
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets)


def _sequence(builder: _Builder, sequence: str, columns: SelectedColumns, features: Features) -> None:
    table = f"behaviors.{sequence}"
    length = length_column(sequence)
    one = builder.integers(1)
    first = [*columns.categorical, *columns.numeric][0]
    present = builder.node("Shape", [first], f"{table}/present", start=1, end=2)
    missing = builder.node("Sub", [one, present], f"{table}/missing")
    padding = builder.node("Max", [missing, builder.integers(0)], f"{table}/padding")
    pads = builder.node("Concat", [builder.integers(0), padding], f"{table}/pads", axis=0)
    padded = builder.node("Max", [present, one], f"{table}/padded")
    _table(builder, table, columns, features, pads)
    zero, step = (builder.constant(f"constant/scalar {value}", np.array(value, dtype=np.int64)) for value in (0, 1))
    end = builder.node("Squeeze", [padded], f"{table}/end")
    positions = builder.node("Range", [zero, end, step], f"{table}/positions")
    lengths = builder.node("Unsqueeze", [length, one], f"{table}/lengths")
    builder.output(builder.node("Less", [positions, lengths], f"{table}/events"), f"{table}/mask", TensorProto.BOOL, 2)


def _table(builder: _Builder, table: str, columns: SelectedColumns, features: Features, pads: str | None) -> None:
    """Encoded columns of one table. pads: of a sequence, how much its second axis is extended."""
    rank = 1 if pads is None else 2
    for column in columns.categorical:
        # An empty table is not allowed; the empty string is a null, and stays unknown.
        vocabulary = features.vocabularies[column]
        indices = builder.node(
            "LabelEncoder",
            [column],
            f"{table}/{column}/index",
            domain=ML_DOMAIN,
            keys_strings=[*vocabulary, ""],
            values_int64s=[*range(1, len(vocabulary) + 1), 0],
            default_int64=0,
        )
        builder.output(_padded(builder, indices, pads), f"{table}/{column}", TensorProto.INT64, rank)
    if columns.numeric:
        normalized = _normalized(builder, table, columns, features)
        builder.output(_padded(builder, normalized, pads), f"{table}/numeric", TensorProto.FLOAT, rank + 1)


def _padded(builder: _Builder, source: str, pads: str | None) -> str:
    return builder.node("Pad", [source, pads, "", builder.integers(1)], f"{source}/padded") if pads else source


def _normalized(builder: _Builder, table: str, columns: SelectedColumns, features: Features) -> str:
    """(…, 2 × columns): where(isnan, 0, (clip(v) − center) / scale), then the null indicators."""
    last = builder.integers(-1)
    raised = [builder.node("Unsqueeze", [column, last], f"{table}/{column}/raised") for column in columns.numeric]
    values = builder.node("Concat", raised, f"{table}/values", axis=-1)
    encodings = [features.numeric[column] for column in columns.numeric]

    def constants(field: str) -> str:
        numbers = np.array([getattr(encoding, field) for encoding in encodings], dtype=np.float32)
        return builder.constant(f"{table}/{field}", numbers)

    nulls = builder.node("IsNaN", [values], f"{table}/nulls")
    raised_to_low = builder.node("Max", [values, constants("low")], f"{table}/raised_to_low")
    clipped = builder.node("Min", [raised_to_low, constants("high")], f"{table}/clipped")
    centered = builder.node("Sub", [clipped, constants("center")], f"{table}/centered")
    scaled = builder.node("Div", [centered, constants("scale")], f"{table}/scaled")
    zero = builder.constant("constant/zero", np.array(0, dtype=np.float32))
    known = builder.node("Where", [nulls, zero, scaled], f"{table}/known")
    indicators = builder.node("Cast", [nulls], f"{table}/indicators", to=TensorProto.FLOAT)
    return builder.node("Concat", [known, indicators], f"{table}/encoded", axis=-1)
