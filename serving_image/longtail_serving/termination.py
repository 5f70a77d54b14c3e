"""The container's termination message: what the operator and `kubectl describe` show of a process that ended."""

import os
from pathlib import Path

from longtail_api.store_objects import CheckReport, Termination

DEFAULT_PATH = Path("/dev/termination-log")
MOST_BYTES = 4096
"""The kubelet keeps no more."""
MOST_CHARACTERS = 1000


def shortened(text: str, characters: int = MOST_CHARACTERS) -> str:
    """The text, its end cut off and marked where it is longer."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def fitting_bytes(message: CheckReport | Termination) -> bytes:
    """JSON of at most 4,096 bytes: the message's text is shortened until it fits (not every character is one byte)."""
    for characters in range(MOST_CHARACTERS, 0, -50):
        fitting = message.model_copy(update={"message": shortened(message.message, characters)})
        content = fitting.model_dump_json(by_alias=True, exclude_none=True).encode()
        if len(content) <= MOST_BYTES:
            return content
    return message.model_copy(update={"message": ""}).model_dump_json(by_alias=True, exclude_none=True).encode()


def write(message: CheckReport | Termination, path: Path) -> None:
    """Leave the message at `path`. Outside of a container the default path does not exist, and nothing is written."""
    if path != DEFAULT_PATH or (path.exists() and os.access(path, os.W_OK)):
        path.write_bytes(fitting_bytes(message))
