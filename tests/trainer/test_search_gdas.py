"""GDAS: what is sampled, what gets gradients, and that all distributions enter the FLOPs."""

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from longtail_api.light_model_search import GdasParameters, SearchSpace
from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.methods.alt.distillation import DistillationLosses, with_teacher
from longtail_trainer.methods.alt.rankings.super_model import light_super_model
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.search.budget import FLOPS
from longtail_trainer.search.evaluators.distribution import CurrentSample
from longtail_trainer.search.evaluators.gdas import GdasSettings, SuperModel, search
from longtail_trainer.search.spaces.decisions import Choice
from longtail_trainer.training.loss import LabelLosses
from tests.trainer.test_search_spaces import PlainPicks
from tests.trainer.tiny_features import a_schema, features_of, samples

pytestmark = pytest.mark.slow

torch.set_num_threads(1)

FEATURES = features_of(a_schema(sequences=2))
SPACE = SearchSpace(width=4, layers=3, operations=["conv1", "conv3", "lstm"])


def a_super_model(spec: SearchSpace = SPACE) -> SuperModel:
    return light_super_model(FEATURES, spec, seed=1)


def a_batch(rows: int = 12):
    return samples(FEATURES, rows).select(torch.arange(rows))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_sample_is_one_architecture_with_the_gradient_of_its_relaxation():
    distribution = a_super_model().distribution
    sample = distribution.sample(2.0, generator())
    for gate, pick, logits in zip(sample.gates, sample.picks, distribution.logits, strict=True):
        assert gate.detach().tolist() == pytest.approx([float(option == pick) for option in range(len(gate))], abs=1e-6)
        if len(gate) > 1:
            (gradient,) = torch.autograd.grad(gate[pick], logits, retain_graph=True)
            assert gradient[pick] > 0
            assert float(gradient.sum()) == pytest.approx(0, abs=1e-6)


def test_options_are_drawn_by_their_probabilities():
    distribution = a_super_model().distribution
    operation = next(number for number, choice in enumerate(distribution.space.choices) if choice.name == "1.operation")
    with torch.no_grad():
        distribution.logits[operation].copy_(torch.tensor([2.0, 0.0, 0.0]))
    noise = generator()
    drawn = [distribution.sample(5.0, noise).picks[operation] for _ in range(1000)]
    shares = [drawn.count(option) / 1000 for option in range(3)]
    expected = torch.tensor([2.0, 0.0, 0.0]).softmax(0).tolist()
    assert shares == pytest.approx(expected, abs=0.065)  # 5 standard deviations


def test_the_super_model_computes_what_the_sampled_light_model_does():
    super_model = a_super_model().eval()
    sample = super_model.distribution.sample(1.0, generator(3))
    fixed = LightModel(FEATURES, super_model.space.decode_picks(sample.picks)).eval()
    own = super_model.model.state_dict()
    operations = [layer.operation for layer in fixed.architecture.layers]
    weights = {}
    for name in fixed.state_dict():
        before, cell, after = name.partition(".cell.operations.")
        layer, _, rest = after.partition(".")
        weights[name] = own[f"{before}.cell.layers.{layer}.{operations[int(layer)]}.{rest}" if cell else name]
    fixed.load_state_dict(weights)
    super_model.current.value = sample
    batch = a_batch()
    torch.testing.assert_close(super_model.model(batch), fixed(batch))


def test_only_picked_operations_get_gradients_and_every_distribution_does():
    super_model = a_super_model().train()
    sample = super_model.distribution.sample(1.0, generator())
    super_model.current.value = sample
    super_model.model(a_batch(40)).pow(2).sum().backward()
    picked = [layer.operation for layer in super_model.space.decode_picks(sample.picks).layers]
    cell = super_model.model.encoders()[0].cell
    for layer, name in zip(cell.layers, picked, strict=True):
        for operation, module in layer.items():
            touched = any(parameter.grad is not None for parameter in module.parameters())
            assert touched == (operation == name)
    for choice, logits in zip(super_model.space.choices, super_model.distribution.logits, strict=True):
        if len(choice.options) > 1:
            assert logits.grad is not None
            assert logits.grad.abs().sum() > 0, choice


def test_the_expected_flops_are_the_mean_over_drawn_architectures():
    super_model = a_super_model()
    space, distribution = super_model.space, super_model.distribution
    with torch.no_grad():
        for logits in distribution.logits:
            logits.normal_(generator=generator(5))
    noise = generator()
    drawn = [space.flops(distribution.sample(1.0, noise).picks) - space.fixed_flops for _ in range(3000)]
    largest = space.largest_flops() - space.fixed_flops
    assert float(distribution.expected_flops().detach()) == pytest.approx(sum(drawn) / 3000 / largest, rel=0.02)


def test_every_choice_that_costs_enters_the_flops_term():
    distribution = a_super_model().distribution
    distribution.expected_flops().backward()
    for choice, logits in zip(distribution.space.choices, distribution.logits, strict=True):
        assert (logits.grad.abs().sum() > 0) == (len(set(choice.costs_of(FLOPS))) > 1), choice


class Memory:
    """A resume point in memory; and a stop that comes after some epochs."""

    def __init__(self) -> None:
        self.saved: dict[str, bytes] = {}

    def save(self, name: str, payload: bytes) -> None:
        self.saved[name] = payload

    def load(self, name: str) -> bytes | None:
        return self.saved.get(name)


class Killed(BaseException):
    pass


class Stop:
    def __init__(self, after: int = 10**9) -> None:
        self.left = after

    def raise_if_requested(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


def searched(
    flops_weight: str = "0.1",
    memory: Memory | None = None,
    stop: Stop | None = None,
    epochs: int = 4,
    warm_up: str = "0.3",
):
    super_model = a_super_model()
    rows = samples(FEATURES, 96)
    taught = with_teacher(rows, rows.labels * 4 - 2)
    settings = GdasSettings(
        GdasParameters(epochs=epochs, warm_up=warm_up, flops_weight=flops_weight, architecture_learning_rate="0.05"),
        16,
        seed=2,
    )
    losses = DistillationLosses.taught(FEATURES.data_schema, 1.0, 1.0)
    figures = []

    def after_epoch(epoch, values):
        figures.append(values)
        return False

    query = with_teacher(samples(FEATURES, 48, seed=1), samples(FEATURES, 48, seed=1).labels * 4 - 2)
    search(super_model, taught, query, losses, settings, memory or Memory(), stop or Stop(), after_epoch)
    return super_model, figures


class OneColumn(nn.Module):
    """Reads one column: which one is what is searched."""

    def __init__(self, current: CurrentSample) -> None:
        super().__init__()
        self.current = current
        self.weights = nn.Parameter(torch.zeros(2))

    def forward(self, batch: Batch) -> Tensor:
        assert self.current.value is not None
        (gates,) = self.current.value.gates
        return (batch.numeric[:, :2] * self.weights * gates).sum(1, keepdim=True)


def test_a_space_of_any_kind_is_searched():
    space = PlainPicks(decisions=(Choice("column", ("telling", "silent"), {FLOPS: (1, 1)}),))
    super_model = SuperModel(space, OneColumn, seed=1)

    def rows(seed: int) -> EncodedSplit:
        some = samples(FEATURES, 256, seed=seed)
        numbers = torch.randn(256, some.numeric.shape[1], generator=generator(seed))
        labels = (numbers[:, :1] > 0).float()
        return replace(some, numeric=numbers, labels=labels, observed=torch.ones_like(labels, dtype=torch.bool))

    parameters = GdasParameters(epochs=8, warm_up="0.3", flops_weight="0", architecture_learning_rate="0.05")
    settings = GdasSettings(parameters, 16, seed=2)
    losses = LabelLosses((True,), (1.0,))
    search(super_model, rows(3), rows(4), losses, settings, Memory(), Stop(), lambda epoch, figures: False)
    ((telling, silent),) = super_model.distribution.probabilities().values()
    assert telling > 2 * silent


def test_weights_and_distributions_learn_at_rates_of_their_own():
    settings = GdasSettings(GdasParameters(learning_rate="0.02", architecture_learning_rate="0.07"), 16, seed=2)
    rates = [
        one.build([nn.Parameter(torch.zeros(2))]).param_groups[0]["lr"]
        for one in (settings.weights, settings.architecture)
    ]
    assert rates == [0.02, 0.07]


def test_a_search_that_is_killed_anywhere_ends_as_if_it_had_not_been():
    whole, _ = searched()
    for after in (0, 3, 9):
        memory = Memory()
        with pytest.raises(Killed):
            searched(memory=memory, stop=Stop(after))
        resumed, _ = searched(memory=memory)
        for name, tensor in whole.state_dict().items():
            assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_finished_search_is_not_run_again():
    memory = Memory()
    searched(memory=memory)
    _, figures = searched(memory=memory, stop=Stop(0))
    assert figures == []


def test_the_loss_falls_and_a_larger_flops_weight_makes_it_cheaper():
    _, light = searched("1.0", epochs=8)
    _, free = searched("0", epochs=8)
    assert free[-1]["supportLoss"] < free[0]["supportLoss"]
    assert light[-1]["expectedFlopsShare"] < free[-1]["expectedFlopsShare"]


def test_a_warm_up_trains_the_weights_alone():
    before = a_super_model()
    after, figures = searched(epochs=4, warm_up="0.75")
    assert ["queryLoss" in epoch for epoch in figures] == [False, False, False, True]
    uniform = [json.loads(epoch["probabilities"]) for epoch in figures[:3]]
    assert all(len(set(each)) == 1 for epoch in uniform for each in epoch.values())
    assert len(set(json.loads(figures[3]["probabilities"])["1.operation"])) > 1
    start = before.state_dict()
    assert any(not torch.equal(tensor, start[name]) for name, tensor in after.state_dict().items() if "model" in name)


def test_a_search_of_one_epoch_has_no_warm_up():
    _, figures = searched(epochs=1, warm_up="0.99")
    assert "queryLoss" in figures[0]


def test_the_temperature_falls_by_equal_factors():
    settings = GdasSettings(GdasParameters(epochs=3, temperature_start="4", temperature_end="1"), 16, 0)
    assert [settings.temperature(epoch) for epoch in (1, 2, 3)] == pytest.approx([4, 2, 1])
