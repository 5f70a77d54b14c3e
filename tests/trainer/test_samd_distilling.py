"""The training of sub-models and meta network: who learns from what, and who does not (SAMD, Algorithm 1)."""

import copy
from typing import Literal

import pytest
import torch
from torch import nn

from longtail_api.methods.samd import Distillation
from longtail_api.store_objects import Dcn, Dnn
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.methods.samd.distilling import Distilling, DistillingSettings
from longtail_trainer.methods.samd.meta_network import MetaNetwork
from longtail_trainer.methods.samd.sub_models import Cycle, SubModel
from longtail_trainer.models.registry import served_family
from longtail_trainer.running.stop import NeverStops
from longtail_trainer.training.fit import fit
from longtail_trainer.training.loss import LabelLosses
from tests.trainer.tiny_features import a_schema, features_of, samples

torch.set_num_threads(1)

FEATURES = features_of(a_schema())
TEACHER = Dnn(embedding_size=3, layers=[8, 6, 4])
SPECS = [Dnn(embedding_size=3, layers=[6, 4]), Dcn(embedding_size=2, cross_layers=1, layers=[5])]
"""Two layers each, of other kinds and widths."""


class Memory(dict[str, bytes]):
    """A place for resume points."""

    def save(self, name: str, payload: bytes) -> None:
        self[name] = payload

    def load(self, name: str) -> bytes | None:
        return self.get(name)


def a_sub_model(number: int, representation: torch.Tensor, plug_in: str, rows: EncodedSplit) -> SubModel:
    spec = SPECS[number % 2]
    torch.manual_seed(number + 1)
    model = served_family(spec.family).build(spec, FEATURES, ["hour", "clicks"] if number else [])
    validation = samples(FEATURES, 40, seed=100 + number)
    return SubModel(f"shop.s{number}", model, rows, validation, rows, representation, plug_in, depth=2)


def a_program(
    plug_in: Literal["Depth", "Scenario"] = "Depth", epochs: int = 3, alike: bool = False, patience: int = 9
) -> Distilling:
    torch.manual_seed(0)
    general = served_family(TEACHER.family).build(TEACHER, FEATURES)
    representations = torch.randn(1, 4).expand(2, 4) if alike else torch.randn(2, 4)
    names = ["depth-2", "depth-2"] if plug_in == "Depth" else ["scenario-0", "scenario-1"]
    members = [
        a_sub_model(number, representations[number], names[number], samples(FEATURES, 60, seed=number))
        for number in range(2)
    ]
    torch.manual_seed(7)
    return Distilling(
        general,
        MetaNetwork(4, 2, 3, dict.fromkeys(names, 2), "StudentLayers"),
        members,
        LabelLosses.of(FEATURES.data_schema),
        Distillation(rows=16),
        DistillingSettings(rounds=2, epochs=epochs, patience=patience, batch_size=24, learning_rate=0.01, seed=5),
    )


def weights_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(module.state_dict())


def moved(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


def test_a_step_moves_the_scenarios_own_model_and_the_meta_network_and_nothing_else():
    program = a_program()
    program.step(0, 0)
    program.step(1, 0)
    first, second = program.members
    others = {part: weights_of(part) for part in (first.model, program.general)}
    own, shared = weights_of(second.model), weights_of(program.network)
    representations = torch.stack([member.representation for member in program.members])
    program.step(1, 1)
    assert all(not moved(before, part) for part, before in others.items())
    assert torch.equal(torch.stack([member.representation for member in program.members]), representations)
    assert moved(own, second.model)
    assert {"clusters.project.weight", "clusters.centers", "plug_ins.depth-2", "strategy.0.weight"} <= moved(
        shared, program.network
    )


def test_the_loss_of_the_labels_says_nothing_to_the_meta_network():
    program = a_program()
    member = program.members[0]
    batch = member.rows.select(torch.arange(20))
    logits = member.model(batch)
    program.losses.mean(logits, batch.labels, batch.observed, batch.weight).backward()
    assert all(one.grad is None for one in program.network.parameters())
    assert any(one.grad is not None for one in member.model.parameters())


@pytest.mark.parametrize(("plug_in", "same"), [("Depth", True), ("Scenario", False)])
def test_scenarios_that_are_alike_have_the_same_weights_if_they_share_a_plug_in(
    plug_in: Literal["Depth", "Scenario"], same: bool
):
    program = a_program(plug_in, alike=True)
    fit(program, None, NeverStops())
    (first, _), (second, _) = program.transfer(0), program.transfer(1)
    assert torch.equal(first, second) == same


def test_a_training_that_is_resumed_ends_as_one_that_was_not():
    whole = a_program()
    fit(whole, None, NeverStops())
    resume = Memory()
    fit(a_program(epochs=1), resume, NeverStops())
    resumed = a_program()
    fit(resumed, resume, NeverStops())
    for ours, theirs in zip(resumed.members, whole.members, strict=True):
        assert not moved(weights_of(theirs.model), ours.model)
    assert not moved(weights_of(whole.network), resumed.network)


def test_who_gets_no_better_has_no_more_turns_and_the_others_go_on():
    program = a_program(epochs=40, patience=2)
    # Nothing to learn: noise for labels, and none of it in the validation rows.
    noise = program.members[0]
    noise.rows.labels.bernoulli_(0.5, generator=torch.Generator().manual_seed(0))
    fit(program, None, NeverStops())
    first, second = (best.epoch for best in program.best)
    assert first < second


def test_each_pass_gives_each_row_once():
    cycle = Cycle(rows=10, batch_size=4, seed=1)
    passes = [torch.cat([cycle.of_round(3 * number + place) for place in range(3)]) for number in range(2)]
    assert all(sorted(each.tolist()) == list(range(10)) for each in passes)
    assert passes[0].tolist() != passes[1].tolist()
    assert torch.equal(cycle.of_round(4), Cycle(rows=10, batch_size=4, seed=1).of_round(4))
