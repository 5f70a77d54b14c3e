"""The container's termination message: what the operator reads instead of polling the store."""

import os
from pathlib import Path
from typing import Any

from longtail_api.store_objects import Termination

MOST_BYTES = 4096
"""The kubelet keeps no more of a termination message."""
MOST_CHARACTERS = 1000
LEAST_NEEDED_FIRST = ("pictures", "metrics", "outputs")
DEFAULT_PATH = "/dev/termination-log"


def termination_bytes(termination: Termination) -> bytes:
    """JSON of at most 4,096 bytes. What doesn't fit is left out, least needed first; the result in the store has it.

    First the message beyond 1,000 characters, then pictures, metrics, outputs, then ever more of the message.
    """
    shortened = termination.model_copy(update={"message": shortened_text(termination.message, MOST_CHARACTERS)})
    for count in range(len(LEAST_NEEDED_FIRST) + 1):
        candidate = shortened.model_copy(update=_emptied(count))
        content = candidate.model_dump_json(by_alias=True, exclude_none=True).encode()
        if len(content) <= MOST_BYTES:
            return content
    candidate = shortened.model_copy(update=_emptied(len(LEAST_NEEDED_FIRST)))
    for characters in range(MOST_CHARACTERS // 2, 0, -50):
        candidate = candidate.model_copy(update={"message": shortened_text(termination.message, characters)})
        content = candidate.model_dump_json(by_alias=True, exclude_none=True).encode()
        if len(content) <= MOST_BYTES:
            return content
    return Termination(status=termination.status, reason=termination.reason[:100]).model_dump_json().encode()


def _emptied(count: int) -> dict[str, Any]:
    return {name: {} for name in LEAST_NEEDED_FIRST[:count]}


def shortened_text(text: str, characters: int) -> str:
    """The text, its end cut off and marked where it is longer."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def write_termination(termination: Termination) -> None:
    """Write the message where Kubernetes looks for it; outside of a container there may be no such file."""
    path = _path()
    if path is not None:
        path.write_bytes(termination_bytes(termination))


def termination_written() -> bool:
    """Whether some process of this container has written a message."""
    path = _path()
    return path is not None and path.exists() and path.stat().st_size > 0


def _path() -> Path | None:
    given = os.environ.get("TERMINATION_MESSAGE_PATH")
    path = Path(given or DEFAULT_PATH)
    return path if given or (path.exists() and os.access(path, os.W_OK)) else None
