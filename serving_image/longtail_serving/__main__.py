"""`longtail-serving`, also `python -m longtail_serving`."""

import signal
import sys
from types import FrameType


def main() -> None:
    # First of all: as process 1 of a container nothing ends this process that it has no handler for.
    signal.signal(signal.SIGTERM, _end)
    from longtail_serving.command import command

    sys.exit(command(sys.argv[1:]))


def _end(number: int, frame: FrameType | None) -> None:
    """Nothing to finish yet: a server that never was ready ends well, a check without a verdict doesn't."""
    sys.exit(143 if "check" in sys.argv[1:2] else 0)


if __name__ == "__main__":
    main()
