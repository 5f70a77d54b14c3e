"""What must hold across inputs: one batch size, one width per sequence, lengths within it."""

from dataclasses import dataclass

import numpy as np

from longtail_api.data_schema import earlier_length_column, length_column
from longtail_api.store_objects import ModelCard, TensorSpec
from longtail_serving.errors import RequestRefused
from longtail_serving.tensors import Array, refused

_PADDING: dict[str, object] = {"BYTES": "", "FP32": 0.0, "INT64": 0}


@dataclass(frozen=True)
class Sequence:
    """The inputs of one behavior sequence."""

    name: str
    """`behaviors.clicks`."""
    columns: tuple[TensorSpec, ...]
    """Of shape [batch, length]."""
    length: TensorSpec | None
    """`behaviors.clicks:length`, where the model takes it."""
    most: int | None
    """Most events the model takes; None where its card doesn't say."""


def sequences_of(card: ModelCard) -> tuple[Sequence, ...]:
    """The sequences among a card's inputs: those that share the part of their name before the last dot."""
    columns: dict[str, list[TensorSpec]] = {}
    by_name = {spec.name: spec for spec in card.inputs}
    for spec in card.inputs:
        if -2 in spec.shape:
            columns.setdefault(spec.name.rpartition(".")[0], []).append(spec)
    return tuple(
        Sequence(name, tuple(specs), _length(name, by_name), card.max_lengths.get(name))
        for name, specs in columns.items()
    )


def _length(name: str, by_name: dict[str, TensorSpec]) -> TensorSpec | None:
    sequence = name.removeprefix("behaviors.")
    return by_name.get(length_column(sequence)) or by_name.get(earlier_length_column(sequence))


def batch_rows(arrays: dict[str, Array]) -> int:
    """The batch size all inputs share. Raises `RequestRefused` where they differ."""
    sizes = {name: array.shape[0] for name, array in arrays.items() if array.ndim}
    first = next(iter(sizes), None)
    if first is None:
        return 1
    for name, size in sizes.items():
        if size != sizes[first]:
            raise RequestRefused(f"input {name!r}: a batch of {size}, but {first!r} has {sizes[first]}")
    return sizes[first]


def check_sequence(sequence: Sequence, arrays: dict[str, Array]) -> None:
    """Raises `RequestRefused` unless all columns are equally wide and every length is within 0 and that width."""
    widths = {spec.name: arrays[spec.name].shape[1] for spec in sequence.columns}
    first = sequence.columns[0]
    width = widths[first.name]
    for spec in sequence.columns:
        if widths[spec.name] != width:
            raise refused(spec, f"{widths[spec.name]} events wide, but {first.name!r} is {width} wide")
    if sequence.most is not None and width > sequence.most:
        raise refused(first, f"{width} events; this model takes at most {sequence.most}: send the latest ones")
    if sequence.length is None:
        return
    lengths = arrays[sequence.length.name]
    wrong = np.flatnonzero((lengths < 0) | (lengths > width))
    if len(wrong):
        row = int(wrong[0])
        raise refused(
            sequence.length,
            f"data[{row}] is {lengths.flat[row]}; the sequence is {width} wide, so it must be 0 to {width}",
        )


def with_one_event_at_least(sequence: Sequence, arrays: dict[str, Array]) -> None:
    """Widen a sequence of no columns to one, in place.

    Models are trained on batches at least one event wide, and not every kernel takes an empty axis; beyond its length
    a sequence is masked, so the padding changes no score.
    """
    for spec in sequence.columns:
        array = arrays[spec.name]
        if array.shape[1] == 0:
            shape = (array.shape[0], 1, *array.shape[2:])
            arrays[spec.name] = np.full(shape, _PADDING[spec.datatype], dtype=array.dtype)
