"""`python -m benchmarks.datasets NAME ...`: write a data set in the three-table form."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.datasets import census, kuairand, oulad, synthetic
from benchmarks.datasets.tables import InvalidInput, Tables, open_output, summary, table_text, write_tables

# Public data sets: name, and what makes the tables of a folder of raw files.
CONVERTERS: Mapping[str, Callable[[Path], Tables]] = {
    "oulad": oulad.tables,
    "census": census.tables,
    "kuairand": kuairand.tables,
}


def _first_line(function: Callable[[Path], Tables]) -> str:
    return (sys.modules[function.__module__].__doc__ or "").splitlines()[0]


def _convert(arguments: argparse.Namespace) -> None:
    converted = CONVERTERS[arguments.name](arguments.raw)
    open_output(arguments.out, arguments.force)
    write_tables(converted, arguments.out)
    print(table_text(summary(converted.schema, converted.samples)))


def _generate(arguments: argparse.Namespace) -> None:
    options = synthetic.options_of(arguments)
    open_output(arguments.out, arguments.force)
    print(table_text(synthetic.generate(options, arguments.out)))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m benchmarks.datasets", description=__doc__)
    commands = top.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, function in CONVERTERS.items():
        line = _first_line(function)
        command = commands.add_parser(
            name,
            help=line,
            description=sys.modules[function.__module__].__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("raw", type=Path, metavar="RAW", help="folder of the raw files")
        command.set_defaults(run=_convert)
    command = commands.add_parser(
        "synthetic",
        help=(synthetic.__doc__ or "").splitlines()[0],
        description=synthetic.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    synthetic.add_arguments(command)
    command.set_defaults(run=_generate)
    for command in commands.choices.values():
        command.add_argument("out", type=Path, metavar="OUT", help="folder to write to; made where absent")
        command.add_argument("--force", action="store_true", help="replace the data set that OUT holds")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 written, 2 where the caller must change something (said on stderr)."""
    parsed = parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except InvalidInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
