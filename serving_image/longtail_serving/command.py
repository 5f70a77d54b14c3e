"""The command line: turns whatever happens into an exit code and a termination message."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from longtail_api.run_config import ExitCode
from longtail_api.store_objects import Termination
from longtail_serving.errors import exit_code_and_reason
from longtail_serving.flags import limits, parsed, store_address, termination_log_of
from longtail_serving.termination import shortened, write
from longtail_serving.threads import available_threads
from longtail_store import open_store

log = logging.getLogger("longtail_serving")

_GOOD_ENDS = (None, 0, 143)
"""143: a check that SIGTERM ended, which `__main__` says."""


def command(arguments: Sequence[str]) -> int:
    """Serve or check as the command line asks; the exit code of the process."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request
    try:
        options = parsed(arguments)
        _COMMANDS[options.command](options)
    except SystemExit as end:  # of --help, and of SIGTERM before there is anything to finish
        if end.code in _GOOD_ENDS:
            raise
        return _ended_badly(end, arguments)
    except BaseException as error:  # what isn't an Exception, such as a native library's panic, has last words too
        return _ended_badly(error, arguments)
    return ExitCode.SUCCEEDED


def _ended_badly(error: BaseException, arguments: Sequence[str]) -> ExitCode:
    code, reason = exit_code_and_reason(error)
    foreseen = code != ExitCode.BUG
    log.error("%s: %s", reason, error, exc_info=None if foreseen else error)
    message = Termination(status="Failed", reason=reason, message=shortened(str(error) or reason))
    try:
        write(message, termination_log_of(arguments))
    except OSError as unwritable:
        log.error("these words can't be left as the termination message: %s", unwritable)
    return code


def _serve(options: argparse.Namespace) -> None:
    # Here, so that neither command waits for the other's imports.
    from longtail_serving.server import ServeOptions, serve

    serve(
        open_store(store_address(options)),
        ServeOptions(
            scenario=options.scenario,
            version=options.version,
            sha256=options.sha256,
            model_name=options.model_name,
            port=options.port,
            threads=options.threads or available_threads(),
            limits=limits(options),
        ),
    )


def _check(options: argparse.Namespace) -> None:
    from longtail_serving.check.candidate_check import CheckOptions, check

    report = check(open_store(store_address(options)), CheckOptions.of(options))
    write(report, options.termination_log)
    print(report.model_dump_json(by_alias=True, exclude_none=True))


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {"serve": _serve, "check": _check}
