"""`longtail-trainer`, also as `python -m longtail_trainer`."""

import sys

from longtail_trainer.methods import STEPS
from longtail_trainer.running.command import command


def main() -> None:
    sys.exit(command(sys.argv[1:], STEPS))


if __name__ == "__main__":
    main()
