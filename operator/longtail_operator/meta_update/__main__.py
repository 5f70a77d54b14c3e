"""`python -m longtail_operator.meta_update --config FILE`: one fold, in a process of its own.

Prints one line of JSON (`MetaUpdateResult`, or `MetaUpdateFailure`) and exits as training containers do: 0, 64 where
the config or the credentials are wrong, 75 where a retry may help.
"""

import argparse
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from longtail_api.run_config import ExitCode
from longtail_api.store_layout import feedback_key, feedback_run
from longtail_operator.meta_update.config import MetaUpdateConfig, MetaUpdateFailure, MetaUpdateResult
from longtail_operator.meta_update.fold import NotInitialized, Run, fold
from longtail_operator.meta_update.ledger import pending
from longtail_store import AttemptExpired, StoreError, StoreRefused, StoreUnreachable, open_store


class NoFeedbackKey(ValueError):
    """A key in the config is no feedback's."""


def settle(config: MetaUpdateConfig) -> MetaUpdateResult:
    """Fold what the config names. Raises what `fold` and `open_store` raise, and `NoFeedbackKey`."""
    store = open_store(config.store)
    if config.feedback is None:
        runs = [(item.scenario, item.run) for item in pending(store)[: config.buffer_size]]
    else:
        runs = [_run(key) for key in config.feedback]
    outcome = fold(
        store,
        runs,
        config.parameters,
        orphans_seconds=config.orphans_seconds,
        workspace=Path(config.workspace) if config.workspace else None,
    )
    version = outcome.version
    return MetaUpdateResult(
        version=version.number,
        generation=version.generation,
        sha256=version.checkpoint.sha256,
        committed=outcome.committed,
        folded=len(version.folded) if outcome.committed else 0,
        rejected=version.rejected if outcome.committed else [],
        duplicates=len(outcome.duplicates),
        missing=[feedback_key(*run) for run in outcome.missing],
        folded_count=version.folded_count,
        rejected_count=version.rejected_count,
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m longtail_operator.meta_update", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="a MetaUpdateConfig, as JSON")
    path: Path = parser.parse_args(arguments).config
    # Else the process ends on the spot, and its files stay.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        config = MetaUpdateConfig.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        return _failed("InvalidConfig", f"{path.name}: {error}", ExitCode.CONFIG_INVALID)
    try:
        result = settle(config)
    except (StoreRefused, NoFeedbackKey) as error:
        return _failed(type(error).__name__, str(error), ExitCode.CONFIG_INVALID)
    except (StoreUnreachable, AttemptExpired, NotInitialized) as error:
        return _failed(type(error).__name__, str(error), ExitCode.RETRYABLE)
    except OSError as error:
        return _failed("WorkspaceUnusable", f"{error}; give the process more disk", ExitCode.RETRYABLE)
    except StoreError as error:
        return _failed(type(error).__name__, str(error), ExitCode.BUG)
    print(result.model_dump_json(by_alias=True), flush=True)
    return ExitCode.SUCCEEDED


def _run(key: str) -> Run:
    run = feedback_run(key)
    if run is None:
        raise NoFeedbackKey(f"feedback: {key!r} is no feedback key")
    return run


def _failed(reason: str, message: str, code: ExitCode) -> int:
    print(MetaUpdateFailure(reason=reason, message=message[:1000]).model_dump_json(by_alias=True), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
