"""Which of a result's figures an objective means."""

import pytest

from longtail_api.data_schema import DataSchema
from longtail_api.light_model_search import Objective

CLICKS = DataSchema.model_validate({"labels": [{"name": "click"}], "context": {"numeric": ["price"]}})
SEVERAL = DataSchema.model_validate(
    {
        "labels": [{"name": "click"}, {"name": "spend", "type": "regression"}, {"name": "order"}],
        "context": {"numeric": ["price"]},
    }
)


@pytest.mark.parametrize(
    ("objective", "schema", "name"),
    [
        (Objective(), CLICKS, "auc"),
        (Objective(metric="logLoss"), CLICKS, "logLoss"),
        (Objective(label="click"), SEVERAL, "auc"),
        (Objective(label="order"), SEVERAL, "order.auc"),
        (Objective(label="spend", metric="rmse"), SEVERAL, "spend.rmse"),
        (Objective(label="spend"), SEVERAL, "spend.rmse"),
    ],
)
def test_it_is_named_as_a_results_metrics_name_it(objective: Objective, schema: DataSchema, name: str):
    assert objective.figure(schema) == name


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Objective(label="sold"), "objective.label: the schema has no label 'sold'; one of click, spend, order"),
        (Objective(metric="rmse"), "objective.metric: label 'click' has no rmse; choose auc"),
        (
            Objective(metric="logLoss", label="spend"),
            "objective.metric: label 'spend' has no logLoss; choose rmse",
        ),
    ],
)
def test_a_figure_that_the_schema_has_not_is_refused(objective: Objective, words: str):
    with pytest.raises(ValueError, match=words):
        objective.figure(SEVERAL)
