"""Contexts to run a step's function with, outside of the command line."""

from collections.abc import Callable
from pathlib import Path

from longtail_api.run_config import StepConfig
from longtail_api.store_layout import step_prefix
from longtail_store import Store, open_store
from longtail_trainer.running.progress import Progress
from longtail_trainer.running.resume import ResumePoints
from longtail_trainer.running.step import StepContext, step_name


def context_of(
    config: StepConfig, workdir: Path, store: Store | None = None, write: Callable[[str], None] = lambda line: None
) -> StepContext:
    """A context as the command makes it, silent, on the config's store or the given one."""
    store = open_store(config.store) if store is None else store
    name = step_name(config)
    prefix = step_prefix(config.owner, config.run, name)
    workdir.mkdir(parents=True, exist_ok=True)
    return StepContext(
        store=store,
        config=config,
        progress=Progress(store, prefix, name, config.identity, write=write),
        resume=ResumePoints(store, prefix, config.identity),
        workdir=workdir,
    )
