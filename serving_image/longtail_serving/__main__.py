"""`longtail-serving`, also `python -m longtail_serving`."""

import itertools
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType


def main() -> None:
    # First of all: as process 1 of a container nothing ends this process that it has no handler for.
    signal.signal(signal.SIGTERM, _end)
    try:
        from longtail_serving.command import command
    except Exception as error:
        traceback.print_exc()
        _leave(f"longtail-serving can't be loaded: {type(error).__name__} {error}; mend the image")
        sys.exit(70)
    sys.exit(command(sys.argv[1:]))


def _leave(message: str) -> None:
    """A termination message by Python alone: what reads flags and writes such messages is not there."""
    given = dict(itertools.pairwise(sys.argv)).get("--termination-log")
    path = Path(given or "/dev/termination-log")
    if given or (path.exists() and os.access(path, os.W_OK)):
        path.write_text(json.dumps({"status": "Failed", "reason": "ImageBroken", "message": message[:1000]}))


def _end(number: int, frame: FrameType | None) -> None:
    """Nothing to finish yet: a server that never was ready ends well, a check without a verdict doesn't."""
    sys.exit(143 if "check" in sys.argv[1:2] else 0)


if __name__ == "__main__":
    main()
