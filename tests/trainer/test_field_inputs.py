"""Every feature as one field; and a made-up served family on top of it, exported as any other."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from longtail_api.store_objects import Features
from longtail_trainer.data.batches import Batch
from longtail_trainer.export import check_parity, export
from longtail_trainer.models.blocks.field_inputs import FieldInputs
from longtail_trainer.models.blocks.perceptron import Perceptron
from longtail_trainer.models.columns import ColumnInputs, batch_inputs, light_columns
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.operations import OPERATIONS, Fields
from tests.trainer.tiny_features import a_schema, features_of, samples

torch.set_num_threads(1)

FEATURES = features_of(a_schema(sequences=2, labels=2))
"""Categorical slot and city; hour, age and income; the sequences clicks and visits."""


class FactorizationModel(ServedModel):
    """Fields → their pairs' products → a perceptron → logits."""

    def __init__(self, features: Features, names: Sequence[str] = ()) -> None:
        super().__init__()
        self.features = features
        self.columns = light_columns(features.data_schema, names)
        self.fields = FieldInputs(self.columns, features, width=4)
        self.pairs, _ = OPERATIONS["fm"].build(self.fields.shape)
        self.perceptron = Perceptron(4, [8, 6], dropout=0.1)
        self.logits = nn.Linear(6, len(features.data_schema.labels))

    def predict(self, static: ColumnInputs, sequences: Sequence[ColumnInputs]) -> Tensor:
        return self.logits(self.perceptron(self.pairs(self.fields(static, sequences))))

    def hidden(self, batch: Batch) -> list[Tensor]:
        return self.perceptron.hidden(self.pairs(self.fields(*batch_inputs(self.columns, batch))))

    def flops(self) -> int:
        heads = 2 * self.logits.in_features * self.logits.out_features
        return self.fields.flops() + OPERATIONS["fm"].flops(self.fields.shape) + self.perceptron.flops() + heads


def fields(names: Sequence[str] = ()) -> FieldInputs:
    torch.manual_seed(0)
    return FieldInputs(light_columns(FEATURES.data_schema, names), FEATURES, width=4)


def inputs(rows: int, names: Sequence[str] = ()) -> tuple[ColumnInputs, list[ColumnInputs]]:
    batch = samples(FEATURES, rows).select(torch.arange(rows))
    return batch_inputs(light_columns(FEATURES.data_schema, names), batch)


def test_there_is_one_field_for_each_column_and_each_sequence():
    assert fields().shape == Fields(2 + 3 + 2, 4)
    assert fields()(*inputs(9)).shape == (9, 7, 4)
    assert fields(["age", "clicks"])(*inputs(9, ["age", "clicks"])).shape == (9, 2, 4)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        (0, lambda batch: batch.categorical[:, 0].fill_(3)),
        (1, lambda batch: batch.categorical[:, 1].fill_(3)),
        (2, lambda batch: batch.numeric[:, 0].add_(1)),
        (3, lambda batch: batch.numeric[:, 4].fill_(1)),  # the null indicator of the second number
        (4, lambda batch: batch.numeric[:, 2].add_(1)),
        (5, lambda batch: batch.sequences["clicks"].numeric.add_(1)),
        (6, lambda batch: batch.sequences["visits"].categorical.fill_(3)),
    ],
)
def test_each_field_follows_its_own_feature_alone(field, change):
    batch = samples(FEATURES, 30).select(torch.arange(30))
    module, columns = fields(), light_columns(FEATURES.data_schema)
    before = module(*batch_inputs(columns, batch))
    change(batch)
    after = module(*batch_inputs(columns, batch))
    changed = [number for number in range(7) if not torch.equal(before[:, number], after[:, number])]
    assert changed == [field]


def test_a_sequence_is_the_mean_of_its_embedded_events():
    module, (static, sequences) = fields(), inputs(40)
    clicks = sequences[0]
    assert clicks.mask is not None
    events = clicks.mask.sum(1)
    pooled = module(static, sequences)[:, 5]
    assert (events == 0).any()
    assert (pooled[events == 0] == 0).all()
    row = int((events > 1).nonzero()[0])
    count = int(events[row])
    each = module.events[0]([column[row, :count] for column in clicks.categorical], clicks.numeric[row, :count])
    torch.testing.assert_close(pooled[row], each.mean(0))


def test_flops_are_what_torch_counts_beside_the_sums_and_bins_it_does_not_see():
    module = fields()
    full = samples(FEATURES, 200)
    longest = [row for row in range(200) if all(int(one.offsets.diff()[row]) == 6 for one in full.sequences.values())]
    columns = light_columns(FEATURES.data_schema)
    with FlopCounterMode(display=False) as counter:
        module(*batch_inputs(columns, full.select(torch.tensor(longest[:1]))))
    bins = 2 * 3 * (3 + 2 * 6 * 2)  # three bins a number: of three static ones, of two in each of two times six events
    sums = 2 * 6 * (4 + 4)  # of an event's category and numbers; over the events
    assert module.flops() == counter.get_total_flops() + bins + sums


@pytest.mark.slow
def test_a_family_on_fields_is_exported_and_passes_the_parity_gate():
    torch.manual_seed(0)
    model = FactorizationModel(FEATURES).eval()
    assert check_parity(model, export(model), 1e-4) < 1e-5
    batch = samples(FEATURES, 5).select(torch.arange(5))
    torch.testing.assert_close(model.logits(model.hidden(batch)[-1]), model(batch))
