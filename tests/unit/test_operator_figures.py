"""Figures of a status: the primary label's, and every label's."""

from longtail_api.data_schema import DataSchema
from longtail_api.store_objects import Metric, Termination
from longtail_operator.scenario.figures import model_metrics

CLICKS = DataSchema.model_validate({"labels": [{"name": "click"}], "context": {"numeric": ["price"]}})
SEVERAL = DataSchema.model_validate(
    {
        "labels": [{"name": "click"}, {"name": "spend", "type": "regression"}, {"name": "order"}],
        "context": {"numeric": ["price"]},
    }
)
SAID = Termination(
    status="Succeeded",
    metrics={
        "test": {
            "auc": Metric(value=0.81, low=0.8, high=0.82), "logLoss": Metric(value=0.3), "ece": Metric(value=0.01),
            "spend.rmse": Metric(value=12.5),
            "order.auc": Metric(reason="MetricNotEstimable"), "order.logLoss": Metric(value=0.2),
        }
    },
)  # fmt: skip


def test_of_one_label_a_status_has_its_figures_alone():
    found = model_metrics(SAID, CLICKS).to_json_dict()
    assert (found["auc"], found["aucLow"], found["logLoss"]) == ("0.8100", "0.8000", "0.3000")
    assert found["labels"] == []


def test_of_several_labels_each_has_its_figures_the_primary_one_first():
    found = model_metrics(SAID, SEVERAL)
    assert found.auc == "0.8100"
    assert [one.to_json_dict() for one in found.labels] == [
        {"name": "click", "auc": "0.8100", "logLoss": "0.3000"},
        {"name": "spend", "rmse": "12.5000"},
        {"name": "order", "auc": "MetricNotEstimable", "logLoss": "0.2000"},
    ]


def test_a_status_shows_no_more_labels_than_it_has_room_for():
    many = CLICKS.model_copy(
        update={"labels": [CLICKS.labels[0].model_copy(update={"name": f"l{i}"}) for i in range(32)]}
    )
    assert [one.name for one in model_metrics(SAID, many).labels] == [f"l{number}" for number in range(8)]
