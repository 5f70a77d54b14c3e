"""The frame of every step: what it is handed, and how it runs exactly once although it may be started often."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from longtail_api.run_config import StepConfig
from longtail_api.store_layout import result_key, step_prefix
from longtail_api.store_objects import Metric, StepResult
from longtail_store import ObjectMissing, Store, read_object, write_object_if_absent
from longtail_trainer.running.errors import ConfigInvalid, Retryable
from longtail_trainer.running.progress import Progress
from longtail_trainer.running.ranks import ALONE, Ranks
from longtail_trainer.running.resume import ResumePoints
from longtail_trainer.running.stop import StopSignal


@dataclass(frozen=True)
class StepContext:
    """What a step works with: everything outside of its config enters here."""

    store: Store
    config: StepConfig
    progress: Progress
    resume: ResumePoints
    workdir: Path
    """An empty folder on this machine, removed when the step ends."""
    threads: int = 1
    stop: StopSignal = field(default_factory=StopSignal)
    ranks: Ranks = ALONE
    """The processes that carry out this step together. `store` takes writes of the first one alone."""

    @property
    def prefix(self) -> str:
        """Folder of this step of this run in the store."""
        return step_prefix(self.config.owner, self.config.run, step_name(self.config))

    def result(
        self,
        outputs: dict[str, Any] | None = None,
        metrics: dict[str, dict[str, Metric]] | None = None,
        flops: int | None = None,
        pictures: dict[str, str] | None = None,
    ) -> StepResult:
        """The step's result, with what the config already says filled in."""
        config = self.config
        return StepResult(
            step=step_name(config),
            identity=config.identity,
            scenario=config.owner,
            run=config.run,
            outputs=outputs or {},
            metrics=metrics or {},
            flops=flops,
            pictures=pictures or {},
            seed=config.seed,
        )


Step = Callable[[StepConfig, StepContext], StepResult]
"""`run` of a step's module: safe to run again after it was killed anywhere."""


def step_name(config: StepConfig) -> str:
    """Every step's config names its step."""
    return cast(Any, config).step


def finished_result(store: Store, config: StepConfig) -> StepResult | None:
    """The result of an earlier attempt at this same step; None where there is none yet.

    Raises `ConfigInvalid` where the key holds the result of other inputs: results are never replaced.
    """
    key = result_key(config.owner, config.run, step_name(config))
    try:
        result = read_object(store, key, StepResult)
    except ObjectMissing:
        return None
    if result.identity != config.identity:
        raise ConfigInvalid(
            f"{key} holds the result of other inputs (identity {result.identity}, this step has {config.identity}); "
            "start a new run: results are never replaced",
            reason="ResultConflict",
        )
    return result


def carry_out(step: Step, config: StepConfig, context: StepContext) -> StepResult:
    """The result of the step, in the store when this returns. Runs it only where no earlier attempt finished it."""
    earlier = context.ranks.of_first(lambda: finished_result(context.store, config))
    if earlier is not None:
        context.progress.update(1.0, "was finished by an earlier attempt; its result is kept")
        return earlier
    started = time.monotonic()
    result = step(config, context)
    result = result.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
    return context.ranks.of_first(lambda: _kept(context.store, config, result))


def _kept(store: Store, config: StepConfig, result: StepResult) -> StepResult:
    """The result that the store has after this was handed in."""
    key = result_key(config.owner, config.run, step_name(config))
    if write_object_if_absent(store, key, result):
        return result
    # Another attempt, or this one's own write whose response was lost, came first: what the store holds is the result.
    stored = finished_result(store, config)
    if stored is None:
        raise Retryable(f"{key} was removed while it was written")
    return stored
