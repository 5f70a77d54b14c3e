"""The trained network as ONNX: encoded columns in, one answer per label out."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from longtail_trainer.models.columns import ColumnInputs, SelectedColumns
from longtail_trainer.models.contract import ServedModel

OPSET = 20
EXAMPLE_BATCH, EXAMPLE_LENGTH = 3, 5
"""Sizes of the traced example: above 1, which torch.export takes for a constant."""


def core_inputs(model: ServedModel) -> list[str]:
    """Names of the core's inputs, in order: `static/<column>`, `static/numeric`, `<sequence>/mask` and so on."""
    names = list(_table_inputs("static", model.columns.static))
    for sequence, columns in model.columns.sequences.items():
        names += [*_table_inputs(f"behaviors.{sequence}", columns), f"behaviors.{sequence}/mask"]
    return names


def _table_inputs(table: str, columns: SelectedColumns) -> Iterator[str]:
    yield from (f"{table}/{column}" for column in columns.categorical)
    if columns.numeric:
        yield f"{table}/numeric"


class Core(nn.Module):
    """`ServedModel.predict` on a flat list of tensors, then sigmoid, or the label's own unit for a regression."""

    def __init__(self, model: ServedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        left = iter(tensors)
        static = _read(self.model.columns.static, left)
        sequences: list[ColumnInputs] = []
        for columns in self.model.columns.sequences.values():
            inputs = _read(columns, left)
            inputs.mask = next(left)
            sequences.append(inputs)
        return answers(self.model, self.model.predict(static, sequences))


def _read(columns: SelectedColumns, left: Iterator[Tensor]) -> ColumnInputs:
    categorical = [next(left) for _ in columns.categorical]
    return ColumnInputs(categorical, next(left) if columns.numeric else torch.zeros(0))


def answers(model: ServedModel, logits: Tensor) -> tuple[Tensor, ...]:
    """What a client gets of logits (batch, labels): per label (batch,), a probability or a value in its own unit."""
    result: list[Tensor] = []
    for label, logit in zip(model.features.data_schema.labels, logits.unbind(1), strict=True):
        if label.type == "binary":
            result.append(logit.sigmoid())
        else:
            encoding = model.features.labels[label.name]
            result.append(logit * encoding.scale + encoding.center)
    return tuple(result)


def core_graph(model: ServedModel) -> onnx.ModelProto:
    """Export by torch.export, with batch and each sequence's length dynamic; traces of this machine stripped."""
    examples: list[Tensor] = []
    axes: list[dict[int, object]] = []
    batch, dynamic = EXAMPLE_BATCH, torch.export.Dim.DYNAMIC

    def add(columns: SelectedColumns, shape: tuple[int, ...], sequence: bool) -> None:
        where: dict[int, object] = dict.fromkeys(range(len(shape)), dynamic)
        for _ in columns.categorical:
            examples.append(torch.zeros(shape, dtype=torch.int64))
            axes.append(where)
        if columns.numeric:
            examples.append(torch.zeros(*shape, 2 * len(columns.numeric)))
            axes.append(where)
        if sequence:
            examples.append(torch.ones(shape, dtype=torch.bool))
            axes.append(where)

    add(model.columns.static, (batch,), sequence=False)
    for number, columns in enumerate(model.columns.sequences.values()):
        add(columns, (batch, EXAMPLE_LENGTH + number), sequence=True)
    labels = [label.name for label in model.features.data_schema.labels]
    # One *args parameter holds them all.
    return stripped(exported(Core(model), tuple(examples), core_inputs(model), labels, (tuple(axes),)))


def exported(
    module: nn.Module, examples: tuple[Tensor, ...], inputs: list[str], outputs: list[str], dynamic_shapes: Any
) -> onnx.ModelProto:
    """The graph of a module in evaluation, traced on `examples`; `dynamic_shapes` as torch.export takes them."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own internals; the parity gate judges the result
        program = torch.onnx.export(
            module.eval(),
            examples,
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic_shapes,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def stripped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without doc strings, stack traces and names of source files: the same weights give the same bytes anywhere."""
    for graph in (model.graph, *model.functions):
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
        graph.doc_string = ""
        del graph.metadata_props[:]
        for info in graph.value_info:
            del info.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    del model.metadata_props[:]
    model.doc_string = ""
    return model
