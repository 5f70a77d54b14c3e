"""The methods: one folder each. A new one is one folder here and one line in `METHODS`."""

from pathlib import Path

from longtail_api.run_config import StepConfig
from longtail_api.store_objects import StepResult
from longtail_trainer.methods.alt import ALT
from longtail_trainer.methods.samd import SAMD
from longtail_trainer.running import command
from longtail_trainer.running.steps import Method, steps_of

METHODS: tuple[Method, ...] = (ALT, SAMD)
STEPS = steps_of(METHODS)


def run(name: str, config: StepConfig, workdir: Path | None = None) -> StepResult:
    """Carry out the step of that name in this process; what it raises goes to the caller."""
    return command.run(STEPS[name], config, workdir)
