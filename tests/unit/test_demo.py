"""The demo's own decisions, and the manifests it applies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.scenario import ScenarioSpec
from tests.demo import manifests
from tests.demo.choice import ARRIVALS, choose
from tests.demo.installation import table_key
from tests.demo.view import condition, failed, figure, is_ready, result_table

NAMES = [f"scenario-{number}" for number in range(22)]


@given(seed=st.integers(0, 10_000), rows=st.permutations(range(100, 122)))
def test_the_pool_and_the_arrivals_are_disjoint_and_the_smallest_arrives(seed: int, rows: list[int]):
    sizes = dict(zip(NAMES, rows, strict=True))
    chosen = choose(sizes, seed)
    assert len(set(chosen.pool)) == 8
    assert len(set(chosen.arrivals)) == ARRIVALS
    assert not set(chosen.pool) & set(chosen.arrivals)
    assert min(sizes, key=lambda name: sizes[name]) in chosen.arrivals
    assert choose(sizes, seed) == chosen


def test_too_few_scenarios_are_refused():
    with pytest.raises(ValueError, match="needs 11"):
        choose(dict.fromkeys(NAMES[:10], 1), seed=0)


def test_the_manifests_are_valid_specs():
    schema = {
        "labels": [{"name": "clicked"}],
        "profile": {"numeric": ["age"]},
        "behaviors": [{"name": "visits", "categorical": ["page"], "maxLength": 8}],
    }
    model = manifests.heavy_model(schema, "http://store:7070", 8, seed=1)
    spec = HeavyModelSpec.model_validate(model["spec"])
    assert spec.data.behaviors == {"visits": "s3://longtail-demo/data/behaviors/visits"}
    served = ScenarioSpec.model_validate(manifests.served_scenario("a", 1000, 50)["spec"])
    assert served.serving is not None
    assert ScenarioSpec.model_validate(manifests.pool_scenario("a")["spec"]).serving is None


def test_a_behavior_table_is_always_a_folder_in_the_bucket(tmp_path):
    assert table_key(tmp_path, tmp_path / "behaviors" / "visits.parquet") == "behaviors/visits/visits.parquet"
    assert (
        table_key(tmp_path, tmp_path / "behaviors" / "visits" / "part-0.parquet") == "behaviors/visits/part-0.parquet"
    )
    assert table_key(tmp_path, tmp_path / "samples.parquet") == "samples.parquet"


def resource(**ready: object) -> dict:
    return {
        "kind": "Scenario",
        "metadata": {"name": "a", "generation": 2},
        "status": {"conditions": [{"type": "Ready", **ready}]},
    }


def test_ready_counts_only_for_the_spec_as_it_is_now():
    assert is_ready(resource(status="True", observedGeneration=2))
    assert not is_ready(resource(status="True", observedGeneration=1))
    assert condition({"metadata": {}}, "Ready") == {}


def test_a_final_reason_ends_the_wait_and_a_passing_one_does_not():
    assert "DataInvalid" in str(failed(resource(status="False", reason="DataInvalid", message="samples: no rows")))
    assert failed(resource(status="False", reason="Running")) is None


def test_the_table_shows_calibration_beside_the_auc():
    metrics = {
        "heavy": {"auc": "0.8", "logLoss": "0.4100", "calibrationError": "0.0210", "flops": 900},
        "light": {"auc": "0.7", "logLoss": "0.4300", "calibrationError": "0.0320", "flops": 300},
    }
    status = {"metrics": metrics, "serving": {}, "lineage": {"agnosticVersion": 1}}
    scenario = {"metadata": {"name": "a"}, "spec": {"budget": {"maxFlops": "450"}}, "status": status}
    table = result_table([scenario], {}, {}, slo=50)
    cells = {str(column.header): list(column.cells) for column in table.columns}
    assert cells["log loss, heavy / light"] == ["0.4100 / 0.4300"]
    assert cells["calibration error, heavy / light"] == ["0.0210 / 0.0320"]


def test_an_auc_is_shown_with_its_interval():
    assert figure({"auc": "0.8123", "aucLow": "0.75", "aucHigh": "0.87"}) == "0.812 [0.750, 0.870]"
    assert figure({"auc": "MetricNotEstimable"}) == "MetricNotEstimable"
    assert figure(None) == "–"
