"""One figure row of the comparison, and the pieces of work that rows come from."""

from typing import Any, Literal

from benchmarks.alt.protocol import FirstEncoder, Folding, Frozen
from longtail_api.store_objects import Metric

Kind = Literal["prepare", "pool", "chain", "single", "boosting", "light", "latency", "budgets"]


class Unit(Frozen):
    """A piece of work that is done once and kept. Fields that a kind doesn't use have their defaults."""

    kind: Kind
    seed: int
    encoder: FirstEncoder | None = None
    """None for what has no behavior encoder."""
    initial: int = 0
    """Initial scenarios; 0 where they don't matter."""
    folding: Folding = Folding()
    scenario: str = ""
    variant: str = ""

    def title(self) -> str:
        """For a line of progress."""
        words = [self.kind, f"seed {self.seed}", self.encoder or "", f"initial {self.initial}" if self.initial else ""]
        words += [self.scenario, self.variant, folding_name(self.folding)]
        return ", ".join(word for word in words if word)


class Row(Frozen):
    """Figures of one method on the test rows of one scenario, in one repetition.

    seconds: of training this very model, its search included. pipeline_seconds: from the tables to the exported
    light model, the pool's training aside. Latency: milliseconds of one prediction at batch 1 and maxLength events.
    """

    seed: int
    scenario: str
    method: str
    encoder: str = ""
    initial: int = 0
    folding: str = ""
    auc: float | None = None
    log_loss: float | None = None
    calibration_error: float | None = None
    test_rows: int = 0
    training_rows: int = 0
    flops: int | None = None
    parameters: int | None = None
    seconds: float | None = None
    pipeline_seconds: float | None = None
    p50_milliseconds: float | None = None
    p99_milliseconds: float | None = None
    architecture: str = ""


class Outcome(Frozen):
    """What a unit left: rows to show, and what later units need."""

    rows: list[Row] = []
    outputs: dict[str, Any] = {}
    seconds: float = 0.0
    """Of the whole unit, by the clock of the machine that did it."""


def folding_name(folding: Folding) -> str:
    """Empty for the protocol's own: one scenario at a time, its feedback folded before the next one starts."""
    if folding == Folding():
        return ""
    if folding.mode == "Frozen":
        return "frozen agnostic"
    if folding.mode == "Synchronous":
        return f"synchronous, {folding.in_flight} at a time"
    return f"asynchronous, {folding.in_flight} in flight, exponent {folding.staleness_exponent:g}"


def figures(metrics: dict[str, Metric]) -> dict[str, Any]:
    """The fields of a row that `evaluate`'s metrics give."""
    found = {name: metrics[name] for name in ("auc", "logLoss", "ece") if name in metrics}
    values = {name: metric.value for name, metric in found.items()}
    rows = found["auc"].rows if "auc" in found else 0
    return {
        "auc": values.get("auc"),
        "log_loss": values.get("logLoss"),
        "calibration_error": values.get("ece"),
        "test_rows": rows or 0,
    }
