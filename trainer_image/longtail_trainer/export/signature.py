"""Inputs and outputs of an exported light model, as `ModelCard` lists them."""

from longtail_api.data_schema import length_column
from longtail_api.store_objects import TensorSpec
from longtail_trainer.models.contract import ServedModel

BATCH, LENGTH = -1, -2


def inputs_of(model: ServedModel) -> list[TensorSpec]:
    """One input per feature that the model reads, raw, and the length of each sequence."""
    static = model.columns.static
    specs = [TensorSpec(name=name, datatype="BYTES", shape=[BATCH]) for name in static.categorical]
    specs += [TensorSpec(name=name, datatype="FP32", shape=[BATCH]) for name in static.numeric]
    for sequence, columns in model.columns.sequences.items():
        specs += [TensorSpec(name=name, datatype="BYTES", shape=[BATCH, LENGTH]) for name in columns.categorical]
        specs += [TensorSpec(name=name, datatype="FP32", shape=[BATCH, LENGTH]) for name in columns.numeric]
        specs.append(TensorSpec(name=length_column(sequence), datatype="INT64", shape=[BATCH]))
    return specs


def outputs_of(model: ServedModel) -> list[TensorSpec]:
    """One output per label: the probability of a binary one, the value of a regression."""
    return [TensorSpec(name=label.name, datatype="FP32", shape=[BATCH]) for label in model.features.data_schema.labels]
