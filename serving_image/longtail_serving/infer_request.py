"""An inference request of the Open Inference Protocol v2: from its body to arrays, and the answer back to JSON."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from longtail_api.store_objects import ModelCard
from longtail_serving.errors import RequestRefused, RequestTooLarge
from longtail_serving.limits import Limits
from longtail_serving.sequences import batch_rows, check_sequence, sequences_of, with_one_event_at_least
from longtail_serving.tensors import Array, decode, short_repr

_DATATYPES = {"f": "FP32", "i": "INT64", "O": "BYTES", "U": "BYTES"}
"""By numpy's kind of an output."""


@dataclass(frozen=True)
class InferRequest:
    """A valid request."""

    id: str | None
    arrays: dict[str, Array]
    rows: int
    outputs: list[str]
    """Names of the outputs to answer with."""


class RequestReader:
    """Reads requests for one model."""

    def __init__(self, card: ModelCard, limits: Limits) -> None:
        self._limits = limits
        self._inputs = {spec.name: spec for spec in card.inputs}
        self._outputs = [spec.name for spec in card.outputs]
        self._sequences = sequences_of(card)

    def read(self, body: bytes | bytearray) -> InferRequest:
        """Raises `RequestRefused` with the input's name and the reason; nothing else, whatever the body."""
        self._check_values(body)
        content = _json_object(body)
        identifier = content.get("id")
        if identifier is not None and not isinstance(identifier, str):
            raise RequestRefused(f"id is {short_repr(identifier)}; it must be a string")
        arrays = self._arrays(content.get("inputs"))
        rows = batch_rows(arrays)
        for sequence in self._sequences:
            check_sequence(sequence, arrays)
            with_one_event_at_least(sequence, arrays)
        return InferRequest(identifier, arrays, rows, self._requested(content.get("outputs")))

    def _check_values(self, body: bytes | bytearray) -> None:
        """Before it is parsed: each value but the first of its array or object comes after a comma or opens one."""
        values = 1 + sum(map(body.count, (b",", b"[", b"{")))
        if values > self._limits.values:
            raise RequestTooLarge(
                f"the body has {values} values, as its commas and brackets say; this server takes at most "
                f"{self._limits.values} (--max-values): send smaller batches"
            )

    def _arrays(self, inputs: object) -> dict[str, Array]:
        tensors: dict[str, dict[str, Any]] = {}
        for name, tensor in _named(inputs, "inputs"):
            if name in tensors:
                raise RequestRefused(f"input {short_repr(name)} is given twice")
            if name not in self._inputs:
                raise RequestRefused(f"input {short_repr(name)} is unknown; this model takes {_names(self._inputs)}")
            tensors[name] = tensor
        if missing := [name for name in self._inputs if name not in tensors]:
            raise RequestRefused(f"input {missing[0]!r} is missing" + _and_others(missing[1:]))
        return {name: decode(spec, tensors[name], self._limits.rows) for name, spec in self._inputs.items()}

    def _requested(self, outputs: object) -> list[str]:
        if outputs is None or outputs == []:
            return self._outputs
        names = [name for name, _ in _named(outputs, "outputs")]
        for name in names:
            if name not in self._outputs:
                raise RequestRefused(f"output {short_repr(name)} is unknown; this model has {_names(self._outputs)}")
        return list(dict.fromkeys(names))


def answer_bytes(request: InferRequest, model_name: str, version: str, scores: list[Array]) -> tuple[bytes, int]:
    """The JSON answer, and how many of its numbers are not finite.

    JSON has no NaN: a number that is not finite becomes null, so that a client can't mistake it for a score.
    """
    outputs: list[dict[str, Any]] = []
    not_finite = 0
    for name, array in zip(request.outputs, scores, strict=True):
        data: list[Any] = array.ravel().tolist()
        if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
            not_finite += int((~finite).sum())
            data = [value if known else None for value, known in zip(data, finite.ravel().tolist(), strict=True)]
        outputs.append(
            {"name": name, "datatype": _DATATYPES[array.dtype.kind], "shape": list(array.shape), "data": data}
        )
    content: dict[str, Any] = {"model_name": model_name, "model_version": version, "outputs": outputs}
    if request.id is not None:
        content["id"] = request.id
    return json.dumps(content, allow_nan=False).encode(), not_finite


def _json_object(body: bytes | bytearray) -> dict[str, Any]:
    if not body:
        raise RequestRefused('the body is empty; send {"inputs": [...]} as JSON')
    try:
        content: object = json.loads(body.decode(), parse_constant=_no_constant)
    except RecursionError as error:
        raise RequestRefused("the body is nested too deeply") from error
    except ValueError as error:  # of JSON, of UTF-8, and of integers with thousands of digits
        raise RequestRefused(f"the body is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise RequestRefused(f'the body must be a JSON object {{"inputs": [...]}}, not {short_repr(content)}')
    return cast(dict[str, Any], content)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not allowed in JSON; send null where a number is missing")


def _named(objects: object, field: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """Names and objects of a list of objects with a name each."""
    if objects is None:
        raise RequestRefused(f"{field} is missing")
    if not isinstance(objects, list):
        raise RequestRefused(f"{field} must be an array of objects")
    for number, item in enumerate(cast(list[Any], objects)):
        if not isinstance(item, dict):
            raise RequestRefused(f"{field}[{number}] is {short_repr(item)}; it must be an object")
        tensor = cast(dict[str, Any], item)
        name = tensor.get("name")
        if not isinstance(name, str):
            raise RequestRefused(f"{field}[{number}]: name is {short_repr(name)}; it must be a string")
        yield name, tensor


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:20]) + (f" and {len(listed) - 20} more" if len(listed) > 20 else "")


def _and_others(names: list[str]) -> str:
    return f" (and {_names(names)})" if names else ""
