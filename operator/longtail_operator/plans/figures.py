"""What a step's result says, as a status shows it: figures and pictures."""

from longtail_api.scenario import ModelMetrics, ScenarioStatus
from longtail_api.store_objects import Metric, Termination
from longtail_operator.pictures import links, replaced
from longtail_operator.plans.run_step import RunContext


def link_pictures(context: RunContext, status: ScenarioStatus, step: str, said: Termination) -> None:
    """The step's newest pictures in place of its earlier ones."""
    drawn = links(step, said.pictures, context.heavy_model.spec.storage.uri)
    status.pictures = replaced(status.pictures, step, drawn)


def model_metrics(said: Termination) -> ModelMetrics:
    """Figures of test rows, as a status holds them."""
    test = said.metrics.get("test", {})
    auc = test.get("auc", Metric())
    latency = said.metrics.get("latency", {}).get("p99Milliseconds", Metric())

    def figure(value: float | None) -> str | None:
        return None if value is None else f"{value:.4f}"

    return ModelMetrics(
        auc=figure(auc.value) or auc.reason,
        auc_low=figure(auc.low),
        auc_high=figure(auc.high),
        log_loss=figure(test.get("logLoss", Metric()).value),
        calibration_error=figure(test.get("ece", Metric()).value),
        flops=said.flops,
        p99_milliseconds=figure(latency.value),
    )
