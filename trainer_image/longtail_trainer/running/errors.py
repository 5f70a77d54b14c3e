"""Why a step ended early, split by who must act. The command turns each into its exit code and reason."""

import errno
from typing import ClassVar

from longtail_api.run_config import ExitCode
from longtail_store import Conflict, InvalidKey, ObjectUnusable, StoreError, StoreRefused


class TrainerError(Exception):
    """Root of what a step raises on purpose. `reason` is CamelCase and ends in a condition of the resource."""

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    default_reason: ClassVar[str] = "Bug"

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason


class UserError(TrainerError):
    """Permanent: the person who wrote the spec or the tables must act."""


class ConfigInvalid(UserError):
    """The run config can't be carried out."""

    exit_code = ExitCode.CONFIG_INVALID
    default_reason = "ConfigInvalid"


class DataInvalid(UserError):
    """The user's tables, or prepared data, can't be used. The message names table, column and rows."""

    exit_code = ExitCode.DATA_INVALID
    default_reason = "DataInvalid"


class LibraryPanicked(UserError):
    """A library written in Rust gave up on what it was handed. Handed the same again, it would again."""

    exit_code = ExitCode.DATA_INVALID
    default_reason = "LibraryPanicked"


class GoalUnreachable(UserError):
    """What is asked for can't be, whatever is tried."""

    exit_code = ExitCode.UNREACHABLE_GOAL
    default_reason = "GoalUnreachable"


class BudgetUnreachable(GoalUnreachable):
    """No architecture of the search space fits the budget."""

    default_reason = "BudgetUnreachable"


class ParityFailed(GoalUnreachable):
    """The exported graph doesn't answer as the trained model does."""

    default_reason = "ParityFailed"


class PlatformError(TrainerError):
    """Retried: the store, the machine or the scheduler must act, and usually has by the next attempt."""

    exit_code = ExitCode.RETRYABLE
    default_reason = "Retryable"


class Retryable(PlatformError):
    """A store or a machine failed."""


class Terminated(PlatformError):
    """SIGTERM arrived and what was done so far is saved; the next attempt resumes."""

    exit_code = ExitCode.TERMINATED
    default_reason = "Terminated"


def panicked(error: BaseException) -> bool:
    """Whether a library written in Rust panicked: PyO3 raises a type that is no `Exception`, and can't be imported."""
    return type(error).__module__ == "pyo3_runtime" and type(error).__name__ == "PanicException"


def trainer_error(error: BaseException) -> TrainerError:
    """Any exception as one of this tree: the store's by who must act, those of the machine as retryable, the rest as a
    bug."""
    if isinstance(error, TrainerError):
        return error
    name, text = type(error).__name__, str(error)
    if isinstance(error, StoreRefused | Conflict):
        return ConfigInvalid(text, reason=name)
    if isinstance(error, ObjectUnusable):
        return DataInvalid(text, reason=name)
    if isinstance(error, StoreError) and not isinstance(error, InvalidKey):
        return Retryable(text, reason=name)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(text)
    if isinstance(error, MemoryError) or _torch_has_no_memory(error):
        return Retryable(f"{name}: {text}; give the step more memory", reason="OutOfMemory")
    if isinstance(error, KeyboardInterrupt):
        return Terminated("interrupted from the keyboard")
    if isinstance(error, SystemExit) and error.code == ExitCode.TERMINATED:
        return Terminated("stopped by SIGTERM before it began")
    if panicked(error):
        return LibraryPanicked(f"a library panicked on what the step handed it: {text}; please report it")
    return TrainerError(f"{name}: {text}")


def disk_full(text: str) -> Retryable:
    return Retryable(f"{text}; give the step more ephemeral storage", reason="DiskFull")


def _torch_has_no_memory(error: BaseException) -> bool:
    """Told without loading torch. On the GPU it has a type for that; on the CPU the words are its own, from their
    beginning to the number of bytes."""
    of_gpu = any(kind.__name__ == "OutOfMemoryError" and kind.__module__ == "torch" for kind in type(error).__mro__)
    return of_gpu or (isinstance(error, RuntimeError) and " DefaultCPUAllocator: " in str(error)[:100])
