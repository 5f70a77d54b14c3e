"""The command line: `longtail-trainer <step> --config FILE`. Turns whatever happens into exit code and message."""

import argparse
import hashlib
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from longtail_api.run_config import ExitCode, StepConfig
from longtail_api.store_layout import result_key, step_prefix
from longtail_api.store_objects import StepResult, Termination
from longtail_store import open_store
from longtail_trainer.running.errors import ConfigInvalid, disk_full, panicked, trainer_error
from longtail_trainer.running.progress import Progress
from longtail_trainer.running.ranks import (
    LOCAL_WORLD_SIZE,
    PROCESSES,
    RANK_LOST,
    WORLD_SIZE,
    ReadOnly,
    joined_ranks,
)
from longtail_trainer.running.resume import ResumePoints
from longtail_trainer.running.run_configs import read_config
from longtail_trainer.running.step import StepContext, carry_out, finished_result, step_name
from longtail_trainer.running.steps import StepModule, Steps
from longtail_trainer.running.stop import StopSignal
from longtail_trainer.running.termination import termination_written, write_termination
from longtail_trainer.running.threads import THREAD_VARIABLES, available_threads

log = logging.getLogger("longtail_trainer")

LEAST_FREE = 16 << 20
"""Bytes: with less, the disk is as good as full. A row group of a local file takes about as much."""


class _Parser(argparse.ArgumentParser):
    """Arguments that can't be parsed are a wrong config like any other: permanent, and with a termination message."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise ConfigInvalid(f"{self.prog}: {message}; --help says what there is")


def parser(steps: Steps) -> argparse.ArgumentParser:
    result = _Parser(
        prog="longtail-trainer",
        description="Runs one step of a training run: reads its config, works, and leaves result.json in the store.",
        epilog="Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Exit codes: 0 done, 64 wrong "
        "config, 65 wrong data, 66 goal out of reach (all three permanent), 70 bug, 75 try again, 143 stopped.",
    )
    commands = result.add_subparsers(dest="step", required=True, metavar="STEP")
    commands.add_parser("steps", help="list the steps")
    for name, known in steps.items():
        step = commands.add_parser(name, help=known.summary, description=known.config.__doc__)
        step.add_argument("--config", required=True, type=Path, metavar="FILE", help="the run config, YAML or JSON")
        step.add_argument("--store-uri", metavar="URI", help="use this store in place of the config's")
        step.add_argument(
            "--workdir", type=Path, metavar="DIR", help="where temporary files go (default: the system's)"
        )
    return result


def command(arguments: Sequence[str], steps: Steps) -> int:
    """Run one of the steps as the command line asks; the exit code of the process."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        options = parser(steps).parse_args(arguments)
    except ConfigInvalid as error:
        return failed("longtail-trainer", error)
    if options.step == "steps":
        for name, known in steps.items():
            print(f"{name:12} {known.summary}")
        return ExitCode.SUCCEEDED
    try:
        config = read_config(options.step, steps[options.step].config, options.config)
        if options.store_uri:
            config = config.model_copy(
                update={"store": config.store.model_copy(update={"uri": options.store_uri, "endpoint": None})}
            )
        step = steps[options.step]
        if starts_others(step, config):
            # Loads torch, which most steps of a single process do without for a while.
            from longtail_trainer.running.launcher import launch

            return launch(arguments, config.threads or available_threads())
        result = run(step, config, options.workdir)
        write_termination(succeeded(config, result))
    except BaseException as error:  # a panic or Ctrl-C is no Exception, and no process may end without a word
        return failed(options.step, error)
    print(f"{options.step}: done in {result.seconds:.1f} s, {result_key(config.owner, config.run, options.step)}")
    return ExitCode.SUCCEEDED


def run(step: StepModule, config: StepConfig, workdir: Path | None = None) -> StepResult:
    """Carry out a step in this process; what it raises goes to the caller."""
    name = step_name(config)
    threads = config.threads or max(1, available_threads() // int(os.environ.get(LOCAL_WORLD_SIZE, "1")))
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, str(threads))  # before the step's module imports torch or polars
    stop = StopSignal()
    before = signal.signal(signal.SIGTERM, stop.request)
    try:
        with (
            joined_ranks() as ranks,
            tempfile.TemporaryDirectory(prefix=f"longtail-{name}-", dir=workdir) as folder,
        ):
            if ranks.world > 1 and not step.distributed:
                raise not_shared(name, ranks.world)
            store = open_store(config.store)
            prefix = step_prefix(config.owner, config.run, name)
            reports = (
                Progress(store, prefix, name, config.identity)
                if ranks.rank == 0
                else Progress(None, prefix, name, config.identity, write=lambda line: None)
            )
            context = StepContext(
                store=store if ranks.rank == 0 else ReadOnly(store),
                config=config,
                progress=reports,
                resume=ResumePoints(store, prefix, config.identity),
                workdir=Path(folder),
                threads=threads,
                stop=stop,
                ranks=ranks,
            )
            try:
                return carry_out(step.load(), config, context)
            except BaseException as error:
                raise_if_full(Path(folder), error)
                raise
            finally:
                reports.flush()
    finally:
        signal.signal(signal.SIGTERM, before)


def starts_others(step: StepModule, config: StepConfig) -> bool:
    """Whether this process is to start those that carry out the step, and isn't one of them.

    Not where the step is finished: then the others may be gone for good. Raises `ConfigInvalid` where it can't be
    shared.
    """
    processes = int(os.environ.get(PROCESSES, "1"))
    if processes == 1 or WORLD_SIZE in os.environ:
        return False
    if not step.distributed:
        raise not_shared(step_name(config), processes)
    return finished_result(open_store(config.store), config) is None


def not_shared(step: str, processes: int) -> ConfigInvalid:
    return ConfigInvalid(f"{step} is carried out by one process, and {processes} were started; start one")


def succeeded(config: StepConfig, result: StepResult) -> Termination:
    return Termination(
        status="Succeeded",
        result_key=result_key(config.owner, config.run, result.step),
        result_sha256=hashlib.sha256(result.to_bytes()).hexdigest(),
        result_version=result.schema_version,
        outputs=result.outputs,
        metrics=result.metrics,
        flops=result.flops,
        pictures=result.pictures,
    )


def raise_if_full(folder: Path, error: BaseException) -> None:
    """Raise `Retryable` (DiskFull) where that explains the error: libraries tell of it in words of their own.

    Nothing is raised where someone knew what it was.
    """
    unexplained = trainer_error(error).exit_code == ExitCode.BUG or error.__cause__ is not None or panicked(error)
    free = shutil.disk_usage(folder).free
    if unexplained and free < LEAST_FREE:
        raise disk_full(f"{free >> 10} KiB are left for temporary files ({type(error).__name__}: {error})") from error


def failed(step: str, error: BaseException) -> int:
    """Tell the person and the operator what went wrong; the exit code that says who must act."""
    known = trainer_error(error)
    if known.exit_code == ExitCode.BUG:
        log.error("%s: an error nobody foresaw; please report it", step, exc_info=error)
    else:
        log.error("%s: %s: %s", step, known.reason, known.message)
    if known.reason != RANK_LOST or not termination_written():  # what the lost one told says more
        try:
            write_termination(Termination(status="Failed", reason=known.reason, message=known.message))
        except OSError as unwritten:  # the log has it, and the kubelet shows the end of that
            log.error("the termination message can't be written: %s", unwritten)
    return known.exit_code
