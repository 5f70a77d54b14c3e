"""Spaces: conditions, sizes and costs; and that what other methods search is an instance of them."""

from dataclasses import dataclass
from decimal import Decimal

import optuna
import pytest

from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.budget import FLOPS, Budget
from longtail_trainer.search.derivation import most_probable
from longtail_trainer.search.evaluators.distribution import ArchitectureDistribution
from longtail_trainer.search.spaces.decisions import Choice, Condition, Decimals, Decision, Integers
from longtail_trainer.search.spaces.picks import PickSpace
from longtail_trainer.search.spaces.space import Point, Space
from tests.trainer.test_search_derivation import a_space as a_cell_space
from tests.trainer.test_search_derivation import every_architecture, joint


@dataclass(frozen=True, kw_only=True)
class PlainSpace(Space[Point]):
    """Whose candidates are its points."""

    def decode(self, point: Point) -> Point:
        return point

    def encode(self, decoded: Point) -> Point:
        return decoded


@dataclass(frozen=True, kw_only=True)
class PlainPicks(PlainSpace, PickSpace[Point]):
    """Of choices alone."""


def a_space(*decisions: Decision, **fixed: int) -> PlainSpace:
    return PlainSpace(decisions=decisions, fixed=fixed)


ON = Choice("on", (True, False), {FLOPS: (3, 0)})
WIDTH = Choice("width", (4, 8, 16), {FLOPS: (40, 80, 160)}, Condition("on", (True,)))
DEEP = Integers("depth", 1, 4, condition=Condition("width", (8, 16)))
CONDITIONAL = a_space(ON, WIDTH, DEEP, flops=1000)


def test_a_decision_whose_condition_does_not_hold_is_absent_and_costs_nothing():
    off, narrow = {"on": "False"}, {"on": "True", "width": "4"}
    assert CONDITIONAL.point_of(off) == {"on": False}
    assert CONDITIONAL.point_of(narrow) == {"on": True, "width": 4}
    wide = CONDITIONAL.point_of({"on": "True", "width": "8", "depth": 3})
    assert wide == {"on": True, "width": 8, "depth": 3}
    assert [CONDITIONAL.cost(CONDITIONAL.point_of(one), FLOPS) for one in (off, narrow)] == [1000, 1043]
    assert CONDITIONAL.cost(wide, FLOPS) == 1083
    assert CONDITIONAL.parameters(wide) == {"on": "True", "width": "8", "depth": 3}


def test_the_size_is_the_number_of_points_that_can_be_told_apart():
    assert CONDITIONAL.size == 1 + 1 + 2 * 4
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    seen = [CONDITIONAL.suggest(study.ask()) for _ in range(300)]
    assert len({tuple(sorted(point.items())) for point in seen}) == CONDITIONAL.size
    assert a_space(ON, Decimals("rate", Decimal("0.1"), Decimal(1))).size is None


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ([WIDTH, ON], "width: depends on on, which is no choice before it; move it there"),
        ([DEEP], "depth: depends on width, which is no choice before it"),
        ([ON, Choice("kind", (1, 2), condition=Condition("on", (7,)))], "depends on on being 7; choose of True, False"),
        ([ON, Choice("kind", (1, 2), condition=Condition("on", ()))], "depends on on being nothing"),
    ],
)  # fmt: skip
def test_a_condition_that_nothing_can_meet_is_refused(decisions, message):
    with pytest.raises(ConfigInvalid, match=message):
        a_space(*decisions)


@pytest.mark.parametrize("decision", [DEEP, Integers("depth", 1, 4)])
def test_what_is_no_unconditional_choice_has_no_picks(decision):
    with pytest.raises(ConfigInvalid, match="depth: is no unconditional choice"):
        PlainPicks(decisions=(ON, Choice("width", (8, 16)), decision))


def test_every_architecture_of_a_cell_is_what_its_point_decodes_to():
    space = a_cell_space()
    every = every_architecture(space)
    assert len(every) == space.size
    for picks in every:
        architecture = space.decode_picks(picks)
        assert space.picks(space.encode(architecture)) == picks
        assert space.cost(space.point(picks), FLOPS) == space.flops(picks)


def test_an_architecture_of_another_space_is_refused():
    foreign = a_cell_space(layers=1).decode_picks((0, 0, 0))
    with pytest.raises(ConfigInvalid, match="is none of a space of"):
        a_cell_space(layers=2).encode(foreign)
    with pytest.raises(ConfigInvalid, match="operation conv1 is none"):
        a_cell_space(layers=1, operations=("conv3", "lstm")).encode(foreign)


def test_the_panels_of_a_cell_are_its_layers_and_mark_what_was_picked():
    space = a_cell_space()
    architecture = next(
        one for one in map(space.decode_picks, every_architecture(space))
        if (one.layers[1].input, one.layers[1].operation, one.layers[1].residuals) == (1, "max_pool3", [0])
    )  # fmt: skip
    first, second = space.panels(space.encode(architecture))
    assert (first.title, second.title) == ("Layer 1", "Layer 2")
    assert [group.title for group in second.groups] == [
        "input: the output of", "operation", "residual edge from (on)",
    ]  # fmt: skip
    marked = [row.label for group in second.groups for row in group.rows if row.picked]
    assert marked == ["layer 1", "max_pool3", "original input"]


def test_a_space_without_panels_of_its_own_shows_each_choice():
    (panel,) = CONDITIONAL.panels({"on": True, "width": 8, "depth": 2})
    assert [(group.title, [row.label for row in group.rows if row.picked]) for group in panel.groups] == [
        ("on", ["True"]), ("width", ["8"]),
    ]  # fmt: skip


def test_a_space_of_stacked_interaction_modules_is_one():
    """Layers, five switches, and sizes that count where their switch is on; architecture and training together."""
    modules = ("dlrm", "attention", "linear", "dcn", "convolution")
    switches = [Choice(f"enable.{name}", (True, False)) for name in modules]

    def of(module: str, name: str, *options: int | str) -> Choice:
        return Choice(f"{module}.{name}", options, condition=Condition(f"enable.{module}", (True,)))

    space = a_space(
        Choice("layers", (1, 2, 3, 4)),
        *switches,
        Choice("fields", (4, 8, 16)),
        Choice("ensemble", ("sum", "concat")),
        of("dlrm", "fields", 4, 8, 16),
        of("dlrm", "width", 32, 64, 128),
        of("attention", "heads", 1, 2, 4),
        of("attention", "width", 32, 64),
        of("linear", "rank", 4, 16, "full"),
        of("dcn", "layers", 1, 2, 3),
        of("convolution", "kernel", 3, 5, 7),
        Decimals("learning_rate", Decimal("0.0003"), Decimal("0.01"), log=True),
        Choice("initial_scale", (Decimal("0.3"), Decimal(1), Decimal(3))),
        Choice("norm_scale", (Decimal("0.1"), Decimal("0.5"), Decimal(1))),
    )
    assert len(space.decisions) == 18
    assert space.size is None
    counted = a_space(*(one for one in space.decisions if one.name != "learning_rate"))
    assert counted.size == 4 * (1 + 9) * (1 + 6) * (1 + 3) * (1 + 3) * (1 + 3) * 3 * 2 * 3 * 3
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(1))
    for point in (space.suggest(study.ask()) for _ in range(30)):
        for name in modules:
            assert any(one.startswith(f"{name}.") for one in point) == point[f"enable.{name}"]


def test_a_space_of_blocks_of_experts_is_one_and_its_best_inside_a_budget_is_derived():
    blocks = [
        Choice(f"expert.{expert}.block.{block}", ("mlp16", "mlp64", "gate", "skip"), {FLOPS: (4096, 16384, 8256, 0)})
        for expert in range(2)
        for block in range(2)
    ]
    interaction = Choice("interaction", ("inner", "outer", "skip"), {FLOPS: (900, 1800, 0)})
    space = PlainPicks(decisions=(interaction, *blocks), fixed={FLOPS: 5000})
    assert space.size == 3 * 4**4
    distribution = ArchitectureDistribution(space)
    assert list(distribution.probabilities())[:2] == ["interaction", "expert.0.block.0"]
    budget = Budget(flops=5000 + 2 * 16384 + 1000)
    log_p = [[0.0, -5.0, -9.0]] + [[-2.0, -0.1, -3.0, -4.0]] * 4
    picks, _ = next(most_probable(log_p, *space.limits(budget)))
    assert space.inside(picks, budget)
    inside = [one for one in every_architecture(space) if space.inside(one, budget)]
    assert joint(log_p, picks) == pytest.approx(max(joint(log_p, one) for one in inside))
    assert space.point(picks)["interaction"] == "inner"
