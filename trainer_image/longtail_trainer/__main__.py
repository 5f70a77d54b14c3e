"""`longtail-trainer`, also as `python -m longtail_trainer`."""

import sys

from longtail_trainer.command import command


def main() -> None:
    sys.exit(command(sys.argv[1:]))


if __name__ == "__main__":
    main()
