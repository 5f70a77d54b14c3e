"""What a step's result says, as a status shows it: figures and pictures."""

from collections.abc import Mapping

from longtail_api.data_schema import DataSchema
from longtail_api.scenario import LABELS_SHOWN, LabelMetrics, ModelMetrics, ScenarioStatus
from longtail_api.store_objects import Metric, Termination
from longtail_operator.pictures import links, replaced
from longtail_operator.scenario.step import RunContext


def link_pictures(context: RunContext, status: ScenarioStatus, step: str, said: Termination) -> None:
    """The step's newest pictures in place of its earlier ones."""
    drawn = links(step, said.pictures, context.heavy_model.spec.storage.uri)
    status.pictures = replaced(status.pictures, step, drawn)


def model_metrics(said: Termination, schema: DataSchema) -> ModelMetrics:
    """Figures of test rows, as a status holds them: of the primary label, and of every label where there are more."""
    test = said.metrics.get("test", {})
    primary = test.get("auc", Metric())
    latency = said.metrics.get("latency", {}).get("p99Milliseconds", Metric())
    several = schema.labels if len(schema.labels) > 1 else []
    return ModelMetrics(
        auc=figure(primary.value) or primary.reason,
        auc_low=figure(primary.low),
        auc_high=figure(primary.high),
        log_loss=figure(test.get("logLoss", Metric()).value),
        calibration_error=figure(test.get("ece", Metric()).value),
        rmse=figure(test.get("rmse", Metric()).value),
        labels=[_label_metrics(test, label.name, number == 0) for number, label in enumerate(several[:LABELS_SHOWN])],
        flops=said.flops,
        p99_milliseconds=figure(latency.value),
    )


def _label_metrics(test: Mapping[str, Metric], label: str, primary: bool) -> LabelMetrics:
    auc, log_loss, rmse = (
        test.get(name if primary else f"{label}.{name}", Metric()) for name in ("auc", "logLoss", "rmse")
    )
    return LabelMetrics(
        name=label, auc=figure(auc.value) or auc.reason, log_loss=figure(log_loss.value), rmse=figure(rmse.value)
    )


def figure(value: float | None) -> str | None:
    """A number as a status shows it."""
    return None if value is None else f"{value:.4f}"
