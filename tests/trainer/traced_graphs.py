"""Graphs of models that this process has exported, by all that a model is: the same weights give the same graph."""

import hashlib
import io
import pickle
from typing import Any

import onnx
from pydantic import BaseModel
from torch import Tensor

from longtail_trainer.export.core_graph import core_graph
from longtail_trainer.models.contract import ServedModel


class TracedGraphs:
    """`core_graph`, which traces a model once only.

    A model is known by its serialization: modules, weights, features. One that differs in any of them is traced anew,
    and one that is the same but serialized otherwise is, too.
    """

    def __init__(self) -> None:
        self._graphs: dict[str, bytes] = {}

    def core_graph(self, model: ServedModel) -> onnx.ModelProto:
        key = _fingerprint(model)
        if key not in self._graphs:
            self._graphs[key] = core_graph(model).SerializeToString()
        return onnx.ModelProto.FromString(self._graphs[key])


class _Serialized(pickle.Pickler):
    """All that an object is made of, alike for alike objects, however they came to be."""

    def persistent_id(self, obj: object) -> object:
        if isinstance(obj, Tensor):
            return str(obj.dtype), tuple(obj.shape), obj.detach().numpy().tobytes()
        return None

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, BaseModel):  # which also remembers which of its fields were given
            return str, (obj.model_dump_json(),)
        return NotImplemented


def _fingerprint(model: ServedModel) -> str:
    stream = io.BytesIO()
    pickler = _Serialized(stream)
    pickler.fast = True  # what is equal counts, not what is the same object
    pickler.dump(model)
    return hashlib.sha256(stream.getvalue()).hexdigest()


traced_graphs = TracedGraphs()
