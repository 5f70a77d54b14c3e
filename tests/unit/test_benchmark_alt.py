"""The comparison of ALT's methods: what it draws, pairs and claims."""

from pathlib import Path

import polars as pl
import pytest

from benchmarks.alt.claims import claims
from benchmarks.alt.methods import (
    ABLATIONS,
    ADAPTED,
    ADAPTED_AGAIN,
    BEFORE,
    INITIAL,
    LIGHT_ABLATIONS,
    LIGHT_METHODS,
    PREDEFINED,
    PREDEFINED_AGAIN,
    SEARCHED,
    SINGLE,
    TARGET_BOOSTING,
)  # fmt: skip
from benchmarks.alt.plan import Wanted, phases
from benchmarks.alt.protocol import SEARCHED_ENCODER, Folding, Protocol
from benchmarks.alt.results import results
from benchmarks.alt.rows import OTHER_SEED, Row, Unit
from benchmarks.alt.tables import tables
from benchmarks.alt.targets import Targets, read_targets
from benchmarks.alt.units.arrivals import Event, Fold, Start, events
from benchmarks.alt.units.light import VARIANTS, teacher_of, version_name
from benchmarks.alt.units.repetition import arrival_order
from benchmarks.alt.units.workplace import owner
from benchmarks.comparison.dataset import UnusableDataset
from benchmarks.comparison.plots import draw
from benchmarks.comparison.results import Claim
from benchmarks.datasets.__main__ import CONVERTERS
from longtail_api.store_layout import model_key
from longtail_store.store import checked_key

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"scenario-{number}" for number in range(20)]


def staleness(order: list[Event]) -> list[int]:
    """Versions committed between each arrival's start and its own fold."""
    versions, started, found = 0, dict[int, int](), dict[int, int]()
    for event in order:
        if isinstance(event, Start):
            started[event.arrival] = versions
        else:
            found |= {arrival: versions - started[arrival] for arrival in event.arrivals}
            versions += 1
    return [found[arrival] for arrival in sorted(found)]


def test_by_default_each_arrival_starts_from_what_all_before_it_left():
    assert list(events(3, Folding())) == [Start(0), Fold((0,)), Start(1), Fold((1,)), Start(2), Fold((2,))]


def test_with_three_in_flight_feedback_is_two_versions_old_once_the_first_are_through():
    assert staleness(list(events(7, Folding(in_flight=3)))) == [0, 1, 2, 2, 2, 2, 2]


def test_synchronous_arrivals_start_from_one_version_and_are_folded_together():
    order = list(events(5, Folding(mode="Synchronous", in_flight=3)))
    assert order == [Start(0), Start(1), Start(2), Fold((0, 1, 2)), Start(3), Start(4), Fold((3, 4))]


def test_frozen_means_that_nothing_is_folded():
    assert list(events(2, Folding(mode="Frozen"))) == [Start(0, teaches=False), Start(1, teaches=False)]


@pytest.mark.parametrize("folding", [Folding(), Folding(in_flight=3), Folding(mode="Synchronous", in_flight=3)])
def test_scenarios_that_the_first_version_has_learned_start_as_all_do_and_give_no_feedback(folding: Folding):
    order = list(events(6, folding, learned=4))
    assert [(event.arrival, event.teaches) for event in order if isinstance(event, Start)] == [
        (number, number >= 4) for number in range(6)
    ]
    assert [arrival for event in order if isinstance(event, Fold) for arrival in event.arrivals] == [4, 5]


def test_where_the_first_version_has_learned_all_nothing_is_folded():
    assert not [event for event in events(3, Folding(), learned=3) if isinstance(event, Fold)]


@pytest.mark.parametrize("folding", [Folding(), Folding(in_flight=4), Folding(mode="Synchronous", in_flight=4)])
def test_every_arrival_starts_once_and_is_folded_once(folding: Folding):
    order = list(events(10, folding))
    assert [event.arrival for event in order if isinstance(event, Start)] == list(range(10))
    assert [arrival for event in order if isinstance(event, Fold) for arrival in event.arrivals] == list(range(10))


def test_the_order_of_arrival_follows_from_the_seed_alone():
    assert arrival_order(NAMES, 3) == arrival_order(NAMES[::-1], 3)
    assert sorted(arrival_order(NAMES, 3)) == sorted(NAMES)
    assert arrival_order(NAMES, 3) != arrival_order(NAMES, 4)


def test_every_unit_builds_on_units_of_earlier_phases_only():
    wanted = Wanted(encoders=("LSTM", "Transformer"), initial=(8, 2), ablations=ABLATIONS)
    order = phases(wanted, NAMES, seed=0)
    phase = {unit: number for number, units in enumerate(order) for unit in units}
    assert len(phase) == sum(len(units) for units in order), "no unit is done twice"
    for unit, number in phase.items():
        if unit.kind == "chain":
            pool = Unit(kind="pool", seed=0, encoder=unit.encoder, initial=unit.initial, variant=unit.variant)
            assert phase[pool] < number
        if unit.kind in ("light", "latency", "budgets"):
            chain = Unit(kind="chain", seed=0, encoder=unit.encoder, initial=unit.initial)
            assert phase[chain] < number
        if unit.kind == "latency":
            assert all(phase[other] < number for other in phase if other.kind == "light")


def test_the_initialization_by_architecture_search_is_compared_in_table_vi_alone():
    plain, searched = Wanted(initial=(8, 2)), Wanted(initial=(8, 2), searched_initialization=True)
    before = [unit for units in phases(plain, NAMES, seed=0) for unit in units]
    added = [unit for units in phases(searched, NAMES, seed=0) for unit in units if unit not in before]
    assert added == [Unit(kind="pool", seed=0, encoder="NAS", initial=initial) for initial in (8, 2)]
    rows = [
        row(INITIAL, "s0", auc=auc, initial=initial, encoder=encoder)
        for initial in (2, 8)
        for encoder, auc in (("LSTM", 0.7), ("NAS", 0.75))
    ]
    (table,) = [one for one in tables(frame(*rows), searched) if one.name == "initial-agnostic"]
    assert table.frame.columns == ["initial", "LSTM", "NAS"]
    assert table.frame.rows() == [(2, 0.7, 0.75), (8, 0.7, 0.75)]


def test_of_initialization_alone_nothing_else_is_done():
    wanted = Wanted(initial=(8, 2), searched_initialization=True, only_initialization=True, ablations=ABLATIONS)
    (units,) = phases(wanted, NAMES, seed=0)
    assert [(unit.kind, unit.encoder, unit.initial) for unit in units] == [
        ("pool", "LSTM", 8),
        ("pool", "LSTM", 2),
        ("pool", "NAS", 8),
        ("pool", "NAS", 2),
    ]


def planned(*methods: str) -> set[tuple[str, str]]:
    """Kind and variant of every unit."""
    return {(unit.kind, unit.variant) for units in phases(Wanted(methods=methods), NAMES, seed=0) for unit in units}


def test_chosen_methods_are_compared_with_what_they_build_on_and_nothing_else():
    assert planned(SINGLE) == {("single", SINGLE)}
    assert planned(TARGET_BOOSTING) == {("boosting", TARGET_BOOSTING)}
    assert planned(ADAPTED) == {("pool", ""), ("chain", "")}
    assert planned(PREDEFINED) == {("pool", ""), ("chain", ""), ("light", PREDEFINED)}
    assert planned(ADAPTED_AGAIN) == {("pool", OTHER_SEED), ("chain", OTHER_SEED)}


def test_the_noise_floor_is_trained_with_another_seed_on_what_the_same_seed_drew():
    units = [unit for units in phases(Wanted(), NAMES, seed=3) for unit in units]
    again = [unit for unit in units if unit.variant in (OTHER_SEED, PREDEFINED_AGAIN)]
    assert {unit.kind for unit in again} == {"pool", "chain", "light"}
    assert all(unit.seed == 3 and unit.training_seed() != 3 for unit in again)
    assert all(unit.training_seed() == 3 for unit in units if unit not in again)


def test_ablations_of_light_models_are_on_six_drawn_scenarios():
    units = [unit for units in phases(Wanted(ablations=ABLATIONS), NAMES, seed=1) for unit in units]
    drawn = {unit.scenario for unit in units if unit.variant == "no-distillation"}
    assert len(drawn) == 6
    assert drawn == {unit.scenario for unit in units if unit.variant == "random-architecture"}


def test_without_a_teacher_no_unlabelled_rows_are_left_to_dilute_the_batches():
    protocol = Protocol()
    own = teacher_of(VARIANTS["own-rows-only"], protocol)
    assert (own.weight, own.transfer_rows) == (protocol.teacher.weight, 0)
    none = teacher_of(VARIANTS["no-distillation"], protocol)
    assert (none.weight, none.transfer_rows) == (0, 0)
    assert teacher_of(VARIANTS[SEARCHED], protocol) == protocol.teacher


def test_no_two_variants_share_a_place_in_the_store():
    assert len({variant.run for variant in VARIANTS.values()}) == len(VARIANTS)
    keys = {model_key(owner("s0"), version_name(name)) for name in VARIANTS}
    assert len(keys) == len(VARIANTS)
    assert all(checked_key(key) == key for key in keys)
    assert set(VARIANTS) == {*LIGHT_METHODS, PREDEFINED_AGAIN, *LIGHT_ABLATIONS}


def row(method: str, scenario: str = "s0", seed: int = 0, auc: float | None = 0.8, **fields: object) -> Row:
    return Row.model_validate({"method": method, "scenario": scenario, "seed": seed, "auc": auc, **fields})


def frame(*rows: Row) -> pl.DataFrame:
    scenarios = {one.seed: sorted({other.scenario for other in rows if other.seed == one.seed}) for one in rows}
    return results(rows, scenarios, main_initial=1)


def test_latencies_join_the_rows_of_their_models_and_draws_name_the_groups():
    table = frame(
        row(SEARCHED, encoder="LSTM", initial=1),
        row(SEARCHED, encoder="LSTM", initial=1, auc=None, p50_milliseconds=0.5, p99_milliseconds=0.7),
        row(SINGLE, "s1", encoder="LSTM"),
    )
    assert table.height == 2
    assert table.filter(pl.col("method") == SEARCHED)["p50_milliseconds"].to_list() == [0.5]
    assert sorted(table["group"].to_list()) == ["emerging", "initial"]


TARGETS = Targets(averages={ADAPTED: 0.84}, meh_over_sinh=0.08, ours_to_meh=-0.003, flops_ratio=0.44)


def claimed(ours: float, flops: int = 400) -> dict[str, Claim]:
    """Claims of ten scenarios where MeL has .80 and the heavy model .81, at 500 and 1,000 FLOPs."""
    rows: list[Row] = []
    for number in range(10):
        name, jitter = f"s{number}", 0.001 * (number % 3)
        common = {"encoder": "LSTM", "initial": 1, "training_rows": 100 + number}
        rows += [
            row(ADAPTED, name, auc=0.81, flops=1000, **common),
            row(PREDEFINED, name, auc=0.80, flops=500, **common),
            row(SEARCHED, name, auc=ours + jitter, flops=flops, **common),
            row(SINGLE, name, auc=0.70, flops=1000, encoder="LSTM", training_rows=100 + number),
        ]
    found = claims(frame(*rows), Wanted(initial=(1,)), [{"budgets": 100, "exceeded": 0}], TARGETS)
    return {claim.name: claim for claim in found}


def test_claims_hold_where_figures_meet_their_targets():
    found = claimed(ours=0.815)
    assert found["LSTM: Ours − MeL, AUC"].holds
    assert found["LSTM: Ours − MeH, AUC"].holds
    assert found["LSTM: Ours ÷ heavy, FLOPs"].figure == pytest.approx(0.4)
    assert found["LSTM: Ours ÷ heavy, FLOPs"].holds
    assert found["LSTM: MeH − SinH, AUC"].holds
    assert found["budgets exceeded, of 100 random ones"].holds


def test_claims_fail_where_figures_miss_their_targets():
    found = claimed(ours=0.7985, flops=450)
    assert found["LSTM: Ours − MeL, AUC"].holds is False
    assert found["LSTM: Ours − MeH, AUC"].holds is False
    assert found["LSTM: Ours ÷ heavy, FLOPs"].holds is False
    assert found["LSTM: MeH, scenario-average AUC"].holds is False
    assert found["LSTM: Ours, scenario-average AUC"].holds is None, "no target was set for it"


def with_noise(meh: float, noise: float) -> dict[str, Claim]:
    """Claims of ten scenarios where the agnostic model has .80 and MeH `meh`, which training again moves by `noise`:
    up and down by seed, and up and down by scenario."""
    rows: list[Row] = []
    for number in range(20):
        seed, scenario = number % 2, number // 2
        common = {"scenario": f"s{scenario}", "seed": seed, "encoder": "LSTM", "initial": 1}
        moved = noise * ((-1) ** seed + (-1) ** scenario)
        rows += [row(BEFORE, auc=0.80, **common), row(ADAPTED, auc=meh, **common)]
        rows += [row(ADAPTED_AGAIN, auc=meh + moved, **common)]
    return {claim.name: claim for claim in claims(frame(*rows), Wanted(initial=(1,)), [], Targets())}


def test_nothing_may_fall_below_what_it_builds_on_by_more_than_another_seed_might():
    name = "LSTM: MeH − Agnostic, AUC"
    assert with_noise(meh=0.798, noise=0.01)[name].holds
    assert not with_noise(meh=0.798, noise=0.001)[name].holds
    assert with_noise(meh=0.798, noise=0.001)[name].target == "≥ −0.0014 (noise floor)"


def test_scenarios_that_fine_tuning_makes_worse_are_counted():
    def worse(meh: float) -> Claim:
        found = with_noise(meh, noise=0.001)
        (claim,) = [one for name, one in found.items() if "scenarios in which MeH is below Agnostic" in name]
        return claim

    assert (worse(meh=0.799).figure, worse(meh=0.799).holds) == (0, True)
    assert (worse(meh=0.79).figure, worse(meh=0.79).holds) == (10, False)


def test_targets_of_one_data_set_are_judged_where_they_are_given_alone(tmp_path: Path):
    rows = [row(method, f"s{number}", encoder="LSTM", auc=0.8) for method in (ADAPTED, SINGLE) for number in range(3)]

    def judged(targets: Targets) -> dict[str, bool | None]:
        return {one.name: one.holds for one in claims(frame(*rows), Wanted(initial=(1,)), [], targets)}

    name = "LSTM: MeH − SinH, AUC"
    assert judged(Targets())[name] is None
    assert judged(read_targets(ROOT / "benchmarks/alt/targets/oulad.yaml"))[name] is False
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("mehOverSinhh: 1")
    with pytest.raises(UnusableDataset, match="mehOverSinhh"):
        read_targets(wrong)


def test_a_claim_without_its_rows_is_not_made():
    found = claims(frame(row(SINGLE, encoder="LSTM")), Wanted(initial=(1,)), [], Targets())
    assert [claim.name for claim in found] == ["LSTM: SinH, scenario-average AUC"]


def test_over_initial_numbers_single_scenarios_stay_what_they_are_and_each_number_has_its_own_draw():
    common = {"encoder": "LSTM", "training_rows": 100}
    rows = [row(SINGLE, name, auc=0.7, **common) for name in ("s0", "s1")]
    for initial in (1, 2):
        rows += [row(ADAPTED, name, auc=0.7 + initial / 100, initial=initial, **common) for name in ("s0", "s1")]
        rows += [row(INITIAL, "s0", auc=0.6 + initial / 100, initial=initial, encoder="LSTM")]
    found = {table.name: table.frame for table in tables(frame(*rows), Wanted(initial=(1, 2)))}
    assert found["initial-LSTM"].select("initial", SINGLE, ADAPTED).rows() == [(1, 0.7, 0.71), (2, 0.7, 0.72)]
    assert found["initial-agnostic"].rows() == [(1, 0.61), (2, 0.62)]
    assert found["averages-LSTM"].filter(pl.col("method") == ADAPTED)["AUC"].to_list() == [pytest.approx(0.71)]
    assert found["differences-LSTM"].filter(pl.col("scenarios") == "all")["difference"].to_list() == [
        pytest.approx(0.01)
    ]


def test_claims_over_initial_numbers_pair_each_number_with_its_own_draw():
    rows = [row(SINGLE, name, auc=0.7, encoder="LSTM") for name in ("s0", "s1")]
    for initial in (1, 2):
        for name in ("s0", "s1")[:initial]:
            rows += [row(INITIAL, name, auc=0.6, initial=initial, encoder="LSTM")]
            rows += [row(INITIAL, name, auc=0.6 + initial / 10, initial=initial, encoder=SEARCHED_ENCODER)]
        rows += [row(ADAPTED, "s0", auc=0.7 + initial / 10, initial=initial, encoder="LSTM")]
    found = claims(frame(*rows), Wanted(initial=(1, 2), searched_initialization=True), [], Targets())
    assert {claim.name: claim.figure for claim in found if "initial:" in claim.name} == {
        "LSTM, 1 initial: agnostic AUC on these": 0.6,
        "NAS − LSTM, 1 initial: agnostic AUC on these": 0.1,
        "LSTM, 2 initial: agnostic AUC on these": 0.6,
        "NAS − LSTM, 2 initial: agnostic AUC on these": 0.2,
        "LSTM, 2 initial: MeH − SinH, AUC": 0.2,
    }


def test_every_table_has_a_picture(tmp_path: Path):
    rows = [
        row(method, f"s{number}", encoder="LSTM", initial=1, flops=100, training_rows=9)
        for number in range(3)
        for method in (ADAPTED, SEARCHED)
    ]
    for table in tables(frame(*rows), Wanted(initial=(1,))):
        assert draw(table, tmp_path).read_bytes().startswith(b"\x89PNG")


def test_no_data_set_is_known_by_name():
    sources = (ROOT / "benchmarks/alt").rglob("*.py")
    named = [(path.name, name) for path in sources for name in CONVERTERS if name in path.read_text().lower()]
    assert named == []
