"""Samples out of samples: some of them, a slice, two halves, or all without their labels."""

from dataclasses import replace

import torch
from torch import Tensor

from longtail_api.data_schema import DataSchema
from longtail_trainer.data.encoded import EncodedSequence, EncodedSplit, offsets_of


def subset(rows: EncodedSplit, chosen: Tensor) -> EncodedSplit:
    """These samples (indices, int64), in this order."""
    return EncodedSplit(
        rows.categorical[chosen],
        rows.numeric[chosen],
        {name: _events_of(sequence, chosen) for name, sequence in rows.sequences.items()},
        rows.labels[chosen],
        rows.observed[chosen],
        rows.weight[chosen],
        rows.entity[chosen],
    )


def slice_of(rows: EncodedSplit, start: int, stop: int) -> EncodedSplit:
    """The samples from `start` to before `stop`, which share the memory of `rows`."""
    sequences: dict[str, EncodedSequence] = {}
    for name, sequence in rows.sequences.items():
        offsets = sequence.offsets[start : stop + 1]
        events = slice(int(offsets[0]), int(offsets[-1]))
        sequences[name] = EncodedSequence(sequence.categorical[events], sequence.numeric[events], offsets - offsets[0])
    samples = slice(start, stop)
    return EncodedSplit(
        rows.categorical[samples],
        rows.numeric[samples],
        sequences,
        rows.labels[samples],
        rows.observed[samples],
        rows.weight[samples],
        rows.entity[samples],
    )


def halves(rows: EncodedSplit) -> tuple[EncodedSplit, EncodedSplit]:
    """Every second sample, and the others."""
    indices = torch.arange(len(rows))
    return subset(rows, indices[::2]), subset(rows, indices[1::2])


def without_labels(rows: EncodedSplit) -> EncodedSplit:
    """The samples with no label observed."""
    return replace(rows, labels=torch.zeros_like(rows.labels), observed=torch.zeros_like(rows.observed))


def labels_alone(rows: EncodedSplit) -> EncodedSplit:
    """The samples without their features, whose memory is no longer needed for it."""
    empty = (len(rows), 0)
    return replace(
        rows, categorical=rows.categorical.new_zeros(empty), numeric=rows.numeric.new_zeros(empty), sequences={}
    )


def taught_labels(schema: DataSchema, *rows: EncodedSplit) -> Tensor:
    """(labels,) whether these rows, together, teach each label: not one that is binary and has one class in them."""
    teaches: list[bool] = []
    for position, label in enumerate(schema.labels):
        seen = torch.cat([some.labels[some.observed[:, position], position] for some in rows])
        teaches.append(bool(len(seen)) and (label.type != "binary" or bool(seen.min() != seen.max())))
    return torch.tensor(teaches)


def one_class(rows: EncodedSplit, schema: DataSchema) -> bool:
    """Whether the primary label is binary, observed, and the same in all samples that observe it."""
    if schema.labels[0].type != "binary":
        return False
    seen = rows.labels[rows.observed[:, 0], 0]
    return bool(len(seen)) and bool((seen == seen[0]).all())


def _events_of(sequence: EncodedSequence, chosen: Tensor) -> EncodedSequence:
    lengths = sequence.offsets.diff()[chosen]
    offsets = offsets_of(lengths)
    # Event j of chosen sample i stands at its old start + j.
    within = torch.arange(int(offsets[-1])) - torch.repeat_interleave(offsets[:-1], lengths)
    events = torch.repeat_interleave(sequence.offsets[chosen], lengths) + within
    return EncodedSequence(sequence.categorical[events], sequence.numeric[events], offsets)
