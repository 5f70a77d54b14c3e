"""`longtail-trainer`, also as `python -m longtail_trainer`."""

import faulthandler
import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> None:
    faulthandler.enable()  # where a library crashes, the log ends with where, and so does what the pod says
    # A container's first process is not ended by a signal that it has no handler for, and importing takes seconds.
    signal.signal(signal.SIGTERM, _end)
    from longtail_trainer.methods import STEPS
    from longtail_trainer.running.command import command

    sys.exit(command(sys.argv[1:], STEPS))


def _end(signal_number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    main()
