"""Pieces of work of a comparison, and the figure rows that come from them."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from longtail_api.store_objects import Metric


class Frozen(BaseModel):
    """A value: equal where its fields are, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Work(Frozen):
    """A piece of work that is done once and kept. A benchmark adds the fields that tell its pieces apart."""

    kind: str
    seed: int

    def title(self) -> str:
        """For a line of progress."""
        return f"{self.kind}, seed {self.seed}"


class FigureRow(Frozen):
    """Figures of one method on the test rows of one scenario, in one repetition.

    seconds: of training this very model, its search included. flops: of one prediction.
    """

    seed: int
    scenario: str
    method: str
    auc: float | None = None
    log_loss: float | None = None
    calibration_error: float | None = None
    test_rows: int = 0
    training_rows: int = 0
    flops: int | None = None
    parameters: int | None = None
    seconds: float | None = None


RowType = TypeVar("RowType", bound=FigureRow)


class Outcome(Frozen, Generic[RowType]):
    """What a piece of work left: rows to show, and what later ones need."""

    rows: list[RowType] = []
    outputs: dict[str, Any] = {}
    seconds: float = 0.0
    """Of the whole piece, by the clock of the machine that did it."""


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
