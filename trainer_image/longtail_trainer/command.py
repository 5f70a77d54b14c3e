"""The command line: `longtail-trainer <step> --config FILE`. Turns whatever happens into exit code and message."""

import argparse
import hashlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from longtail_api.run_config import STEP_CONFIGS, ExitCode, StepConfig
from longtail_api.store_layout import result_key, step_prefix
from longtail_api.store_objects import StepResult, Termination
from longtail_store import open_store
from longtail_trainer.errors import trainer_error
from longtail_trainer.progress import Progress
from longtail_trainer.resume import ResumePoints
from longtail_trainer.run_configs import read_config
from longtail_trainer.step import StepContext, StopSignal, carry_out, load_step
from longtail_trainer.steps import STEPS
from longtail_trainer.termination import write_termination
from longtail_trainer.threads import THREAD_VARIABLES, available_threads

log = logging.getLogger("longtail_trainer")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="longtail-trainer",
        description="Runs one step of a training run: reads its config, works, and leaves result.json in the store.",
        epilog="Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Exit codes: 0 done, 64 wrong "
        "config, 65 wrong data, 66 goal out of reach (all three permanent), 70 bug, 75 try again, 143 stopped.",
    )
    commands = result.add_subparsers(dest="step", required=True, metavar="STEP")
    commands.add_parser("steps", help="list the steps")
    for name in STEPS:
        step = commands.add_parser(name, help=summary(name), description=STEP_CONFIGS[name].__doc__)
        step.add_argument("--config", required=True, type=Path, metavar="FILE", help="the run config, YAML or JSON")
        step.add_argument("--store-uri", metavar="URI", help="use this store in place of the config's")
        step.add_argument(
            "--workdir", type=Path, metavar="DIR", help="where temporary files go (default: the system's)"
        )
    return result


def summary(step: str) -> str:
    """What the step does, from its config's docstring."""
    return (STEP_CONFIGS[step].__doc__ or "").partition("\n")[0].removeprefix(f"{step}: ")


def command(arguments: Sequence[str]) -> int:
    """Run one step as the command line asks; the exit code of the process."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    options = parser().parse_args(arguments)
    if options.step == "steps":
        for name in STEPS:
            print(f"{name:12} {summary(name)}")
        return ExitCode.SUCCEEDED
    try:
        config = read_config(options.step, options.config)
        if options.store_uri:
            config = config.model_copy(
                update={"store": config.store.model_copy(update={"uri": options.store_uri, "endpoint": None})}
            )
        result = run(options.step, config, options.workdir)
    except Exception as error:
        return failed(options.step, error)
    write_termination(succeeded(config, result))
    print(f"{options.step}: done in {result.seconds:.1f} s, {result_key(config.owner, config.run, options.step)}")
    return ExitCode.SUCCEEDED


def run(name: str, config: StepConfig, workdir: Path | None = None) -> StepResult:
    """Carry out the step of that name in this process; what it raises goes to the caller."""
    threads = config.threads or available_threads()
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, str(threads))  # before the step's module imports torch or polars
    stop = StopSignal()
    before = signal.signal(signal.SIGTERM, stop.request)
    try:
        store = open_store(config.store)
        prefix = step_prefix(config.owner, config.run, name)
        progress = Progress(store, prefix, name, config.identity)
        with tempfile.TemporaryDirectory(prefix=f"longtail-{name}-", dir=workdir) as folder:
            context = StepContext(
                store=store,
                config=config,
                progress=progress,
                resume=ResumePoints(store, prefix, config.identity),
                workdir=Path(folder),
                threads=threads,
                stop=stop,
            )
            try:
                return carry_out(load_step(name), config, context)
            finally:
                progress.flush()
    finally:
        signal.signal(signal.SIGTERM, before)


def succeeded(config: StepConfig, result: StepResult) -> Termination:
    return Termination(
        status="Succeeded",
        result_key=result_key(config.owner, config.run, result.step),
        result_sha256=hashlib.sha256(result.to_bytes()).hexdigest(),
        outputs=result.outputs,
        metrics=result.metrics,
        flops=result.flops,
        pictures=result.pictures,
    )


def failed(step: str, error: Exception) -> int:
    """Tell the person and the operator what went wrong; the exit code that says who must act."""
    known = trainer_error(error)
    if known.exit_code == ExitCode.BUG:
        log.error("%s: an error nobody foresaw; please report it", step, exc_info=error)
    else:
        log.error("%s: %s: %s", step, known.reason, known.message)
    write_termination(Termination(status="Failed", reason=known.reason, message=known.message))
    return known.exit_code
