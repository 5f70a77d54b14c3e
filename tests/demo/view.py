"""What a person sees: the live view while the demo works, and the table at its end. Pure but for printing."""

import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

STEPS = ("DataPrepared", "Adapted", "Searched", "Trained", "RolledOut", "Ready")
MARKS = {"True": "[green]✓[/]", "False": "[yellow]…[/]", "Unknown": "[yellow]?[/]"}


def condition(resource: dict[str, Any], name: str) -> dict[str, Any]:
    """A condition of a resource; an empty dictionary where it has none of that type."""
    conditions = resource.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == name), {})


def is_ready(resource: dict[str, Any]) -> bool:
    """Ready, and for the spec as it is now."""
    ready = condition(resource, "Ready")
    return ready.get("status") == "True" and ready.get("observedGeneration") == resource["metadata"]["generation"]


def failed(resource: dict[str, Any]) -> str | None:
    """Why a resource will not get ready by itself; None where it may."""
    ready = condition(resource, "Ready")
    final = {
        "DataInvalid",
        "BudgetUnreachable",
        "InvalidSpec",
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "StepFailed",
    }
    final |= {"CheckFailed", "SLOCheckFailed", "RegressionFound", "StoreNotAtomic"}
    if ready.get("status") == "False" and ready.get("reason") in final:
        return f"{resource['kind']} {resource['metadata']['name']}: {ready['reason']}: {ready.get('message', '')}"
    return None


@dataclass
class Watch:
    """Shows how far resources are: a table on a terminal, else one line for every change."""

    console: Console
    started: float = field(default_factory=time.monotonic)
    _lines: dict[str, str] = field(default_factory=dict)
    _live: Live | None = None

    def __enter__(self) -> "Watch":
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=2)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, resources: list[dict[str, Any]]) -> None:
        if self._live:
            self._live.update(self._table(resources))
            return
        for resource in resources:
            ready = condition(resource, "Ready")
            name = f"{resource['kind']} {resource['metadata']['name']}"
            line = f"{ready.get('reason', 'Pending')}: {ready.get('message', '')}"
            if self._lines.get(name) != line:
                self._lines[name] = line
                self.console.print(f"[{self._elapsed():>5}] {name}: {line}", highlight=False, markup=False)

    def _elapsed(self) -> str:
        seconds = int(time.monotonic() - self.started)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def _table(self, resources: list[dict[str, Any]]) -> Table:
        table = Table(title=f"{self._elapsed()} since the first kubectl apply", title_justify="left")
        for column in ("", "data", "adapted", "searched", "trained", "rolled out", "ready", "now"):
            table.add_column(column)
        for resource in resources:
            marks = [MARKS.get(condition(resource, step).get("status", ""), "") for step in STEPS]
            ready = condition(resource, "Ready")
            table.add_row(
                resource["metadata"]["name"], *marks, f"{ready.get('reason', '')} {ready.get('message', '')}"[:80]
            )
        return table


def figure(metrics: dict[str, Any] | None) -> str:
    """An AUC with its 95 % interval."""
    if not metrics or not metrics.get("auc"):
        return "–"
    if not metrics.get("aucLow"):
        return metrics["auc"]
    return f"{float(metrics['auc']):.3f} [{float(metrics['aucLow']):.3f}, {float(metrics['aucHigh']):.3f}]"


def result_table(scenarios: list[dict[str, Any]], model: dict[str, Any], best: dict[str, float], slo: int) -> Table:
    """One row a Scenario: quality, cost, latency, and the agnostic version before and after."""
    table = Table(title="What was made", title_justify="left")
    columns = ["scenario", "heavy AUC [95 %]", "light AUC [95 %]"]
    if best:
        columns.append("best reachable")
    columns += ["log loss, heavy / light", "calibration error, heavy / light"]
    columns += ["heavy FLOPs", "light FLOPs", "budget", f"p99 ms (SLO {slo})", "agnostic version"]
    for column in columns:
        table.add_column(column, overflow="fold")
    after = model.get("status", {}).get("version", {}).get("number", "?")
    for scenario in scenarios:
        status = scenario["status"]
        heavy, light = status["metrics"].get("heavy") or {}, status["metrics"].get("light") or {}
        row = [scenario["metadata"]["name"], figure(heavy), figure(light)]
        if best:
            row.append(f"{best[scenario['metadata']['name']]:.3f}")
        row += [f"{heavy.get(name, '–')} / {light.get(name, '–')}" for name in ("logLoss", "calibrationError")]
        row += [
            f"{heavy.get('flops', 0):,}",
            f"{light.get('flops', 0):,}",
            f"{int(scenario['spec']['budget']['maxFlops']):,}",
        ]
        row += [status["serving"].get("p99Milliseconds", "–"), f"{status['lineage'].get('agnosticVersion')} → {after}"]
        table.add_row(*row)
    return table
