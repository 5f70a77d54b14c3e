"""samd: a group of scenarios in, a model of each out; and who takes no part, by name."""

import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from longtail_api.methods.samd import Distillation, Representation, SamdConfig, SamdMember, SamdTraining
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import AGNOSTIC, model_card_key, result_key, step_prefix
from longtail_api.store_objects import Dcn, Dnn, ModelCard, StepResult
from longtail_store import Store, open_store, read_object
from longtail_trainer.methods import run
from longtail_trainer.methods.samd.group import load_group
from longtail_trainer.running.errors import BudgetUnreachable, ConfigInvalid, DataInvalid
from tests.trainer.prepared_data import SCHEMA, write_scenario

SUPER, NORTH, SOUTH, EMPTY = "ns.super.00000000", "ns.north.00000001", "ns.south.00000002", "ns.empty.00000003"


def strangers(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of other people."""
    return frame.with_columns(pl.col("entity") + " of the south")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> StoreAddress:
    """A store with four scenarios, of which one has no training row and one shares nobody with another."""
    address = StoreAddress(uri=(tmp_path_factory.mktemp("group") / "store").as_uri())
    store = open_store(address)
    write_scenario(store, SUPER, {"support": 300})
    write_scenario(store, NORTH, seed=1)
    write_scenario(store, SOUTH, seed=2, changed=strangers)
    write_scenario(store, EMPTY, {"support": 0, "query": 0}, seed=3)
    return address


def a_member(scenario: str, **fields: Any) -> SamdMember:
    given = {"model": Dnn(embedding_size=3, layers=[6, 4])} | fields
    return SamdMember(manifest=f"data/{scenario}/v1/manifest.json", light_version="light-1", **given)


def a_config(address: StoreAddress, members: list[SamdMember], **fields: Any) -> SamdConfig:
    given: dict[str, Any] = {
        "run": 1,
        "general": Dnn(embedding_size=3, layers=[8, 6, 4]),
        "representation": Representation(width=4, embedding_size=3, epochs=1),
        "distillation": Distillation(clusters=1, rows=16),
        "training": SamdTraining(learning_rate="0.01", batch_size=32, general_epochs=2, rounds=2, epochs=2),
    }
    return SamdConfig(
        store=address,
        owner="agnostic",
        identity="g1",
        threads=1,
        super_scenario=f"data/{SUPER}/v1/manifest.json",
        members=members,
        **(given | fields),
    )


@pytest.fixture
def store(address: StoreAddress) -> Store:
    return open_store(address)


@pytest.mark.slow
@pytest.mark.usefixtures("traced_once")
class TestAGroup:
    @pytest.fixture(scope="class")
    def result(self, address: StoreAddress) -> StepResult:
        dcn = a_member(SOUTH, model=Dcn(embedding_size=2, cross_layers=1, layers=[5]), features=["age", "items"])
        small = a_member(EMPTY, max_flops=10)
        return run("samd", a_config(address, [a_member(NORTH), dcn, small]))

    def test_its_result_names_what_each_scenario_has(self, result: StepResult, store: Store):
        assert set(result.members) == {NORTH, SOUTH}
        for scenario, member in result.members.items():
            assert member.manifest == f"data/{scenario}/v1/manifest.json"
            assert member.result_key == result_key(scenario, 1, "samd")
            assert hashlib.sha256(store.get(member.result_key)).hexdigest() == member.result_sha256
            own = read_object(store, member.result_key, StepResult)
            card = read_object(store, model_card_key(scenario, "light-1"), ModelCard)
            assert own.outputs["modelSha256"] == card.sha256
            assert (own.scenario, own.flops) == (scenario, card.flops)
            assert "auc" in own.metrics["test"]
            assert 0 <= own.metrics["transfer"]["entropy"].value <= 1
            assert -1 <= own.metrics["transfer"]["nearnessRank"].value <= 1

    def test_a_scenario_without_rows_fails_nobody_and_is_told(self, result: StepResult):
        (refused,) = result.outputs["refused"].items()
        assert refused[0] == EMPTY
        assert refused[1]["reason"] == "DataInvalid"
        assert "no training row has a label; add samples" in refused[1]["message"]

    def test_who_shares_no_entity_is_told(self, result: StepResult):
        assert result.outputs["withoutNeighbors"] == [NORTH, SOUTH]

    def test_a_served_model_asks_for_its_own_features_alone(self, result: StepResult, store: Store):
        card = read_object(store, model_card_key(SOUTH, "light-1"), ModelCard)
        assert {spec.name for spec in card.inputs} == {
            "profile.age",
            "behaviors.items.kind",
            "behaviors.items.price",
            "behaviors.items:length",
        }


def test_more_clusters_than_scenarios_are_refused(address: StoreAddress, store: Store):
    config = a_config(address, [a_member(NORTH)], distillation=Distillation(clusters=2))
    with pytest.raises(ConfigInvalid, match=r"distillation\.clusters: 2 are more than the 1 scenarios of the group"):
        load_group(config, store)


def test_a_scenario_that_comes_twice_is_refused(address: StoreAddress, store: Store):
    with pytest.raises(ConfigInvalid, match=f"{NORTH} comes twice"):
        load_group(a_config(address, [a_member(NORTH), a_member(NORTH)]), store)
    with pytest.raises(ConfigInvalid, match=f"{SUPER} comes twice, or is the super scenario"):
        load_group(a_config(address, [a_member(SUPER)]), store)


def test_scenarios_of_another_schema_are_refused(address: StoreAddress, tmp_path: Path):
    store = open_store(StoreAddress(uri=(tmp_path / "store").as_uri()))
    write_scenario(store, SUPER)
    write_scenario(store, NORTH, schema=SCHEMA.model_copy(update={"labels": SCHEMA.labels[:1]}))
    with pytest.raises(ConfigInvalid, match=f"{NORTH}: was prepared with another schema than {SUPER}"):
        load_group(a_config(address, [a_member(NORTH)]), store)


@pytest.mark.parametrize(
    ("member", "error", "words"),
    [
        (a_member(NORTH, features=["shoe_size"]), ConfigInvalid, "the schema has no feature or sequence shoe_size"),
        (a_member(NORTH, model=Dnn(layers=[4])), ConfigInvalid, f"light.model of {NORTH}: has one layer"),
        (a_member(NORTH, max_flops=10), BudgetUnreachable, r"budget.maxFlops: .* needs \d+ FLOPs, above 10"),
        (a_member(EMPTY), DataInvalid, f"{EMPTY}/v1/manifest.json: no training row has a label"),
    ],
)
def test_who_cannot_take_part_is_left_out_by_name(
    address: StoreAddress, store: Store, member: SamdMember, error: type[Exception], words: str
):
    with pytest.raises(error, match=words):
        load_group(a_config(address, [member]), store)
    group = load_group(a_config(address, [member, a_member(SOUTH)]), store)
    assert [one.scenario for one in group.members] == [SOUTH]
    assert list(group.refused) == [member.manifest.split("/")[1]]


def test_one_layer_is_enough_where_weights_are_over_all_pairs(address: StoreAddress, store: Store):
    all_pairs = Distillation(clusters=1, transfer_weights="AllPairs")
    group = load_group(a_config(address, [a_member(NORTH, model=Dnn(layers=[4]))], distillation=all_pairs), store)
    assert group.members[0].depth == 1


@pytest.mark.slow
def test_a_general_model_of_all_rows_is_another_one_and_who_is_too_slow_is_left_out(
    address: StoreAddress, store: Store
):
    found: dict[str, bytes] = {}
    for number, rows in ((11, "SuperScenario"), (12, "Pooled")):
        members = [a_member(NORTH), a_member(SOUTH, max_latency_milliseconds=1e-9)]
        members = [one.model_copy(update={"light_version": f"light-{number}"}) for one in members]
        result = run("samd", a_config(address, members, general_rows=rows, run=number))
        assert set(result.members) == {NORTH}
        assert result.outputs["refused"][SOUTH]["reason"] == "BudgetUnreachable"
        found[rows] = store.get(f"{step_prefix(AGNOSTIC, number, 'samd')}/general.safetensors")
    assert found["SuperScenario"] != found["Pooled"]
