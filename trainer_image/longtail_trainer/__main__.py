"""`longtail-trainer`, also as `python -m longtail_trainer`."""

import faulthandler
import sys

from longtail_trainer.methods import STEPS
from longtail_trainer.running.command import command


def main() -> None:
    faulthandler.enable()  # where a library crashes, the log ends with where, and so does what the pod says
    sys.exit(command(sys.argv[1:], STEPS))


if __name__ == "__main__":
    main()
