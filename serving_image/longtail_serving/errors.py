"""What can go wrong, split by who must act: the client of one request, or whoever runs the process."""

from longtail_api.run_config import ExitCode
from longtail_store import ObjectMissing, ObjectUnusable, StoreRefused, StoreUnreachable


class ServingError(Exception):
    """The root."""


class RequestRefused(ServingError):
    """The client: this request can't be answered. `status` is the HTTP status, the text its reason."""

    status = 400


class ModelUnknown(RequestRefused):
    """The client: no such model, or another version of it."""

    status = 404


class RequestTooLarge(RequestRefused):
    """The client: send smaller batches."""

    status = 413


class RequestTooSlow(RequestRefused):
    """The client, or the network before it: the body did not arrive in time."""

    status = 408


class NotReady(RequestRefused):
    """Nobody, or the platform: the model is still loading, or the server is full."""

    status = 503


class ModelInvalid(ServingError):
    """The model in the store is not the pinned one, or none that can be served. Permanent."""


class PortUnusable(ServingError):
    """Whoever wrote the pod: another process has the port, or this one may not have it. Permanent."""


class FlagsInvalid(ServingError):
    """Whoever wrote the command line. Permanent."""


def exit_code_and_reason(error: BaseException) -> tuple[ExitCode, str]:
    """The process' exit code and the CamelCase reason for its termination message."""
    for kind, code, reason in (
        (FlagsInvalid, ExitCode.CONFIG_INVALID, "InvalidSpec"),
        (PortUnusable, ExitCode.CONFIG_INVALID, "PortUnusable"),
        (ModelInvalid, ExitCode.DATA_INVALID, "ModelInvalid"),
        (ObjectMissing, ExitCode.DATA_INVALID, "ObjectMissing"),
        (ObjectUnusable, ExitCode.DATA_INVALID, "ObjectUnusable"),
        (StoreRefused, ExitCode.CONFIG_INVALID, type(error).__name__),
        (StoreUnreachable, ExitCode.RETRYABLE, "StoreUnreachable"),
    ):
        if isinstance(error, kind):
            return code, reason
    return ExitCode.BUG, type(error).__name__
