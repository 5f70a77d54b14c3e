"""A step that works until it is told to stop, for tests of the frame."""

import time

from longtail_api.run_config import StepConfig
from longtail_api.store_objects import StepResult
from longtail_trainer.running.step import StepContext


def run(config: StepConfig, context: StepContext) -> StepResult:
    batches = int(context.resume.load("batches") or b"0")
    context.progress.update(0.5, f"working from batch {batches}")
    while True:
        batches += 1
        time.sleep(0.01)
        if context.stop.requested:
            context.resume.save("batches", str(batches).encode())
            context.stop.raise_if_requested()
