"""`python -m benchmarks.alt --dataset DIR --seeds N --json FILE`: ALT's methods against each other and baselines.

Each seed draws test rows, initial scenarios and the order in which the others arrive; each arrival starts from the
version committed so far. What is done is kept under --out: the same command goes on where it was interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.alt.cache import Cache, data_hash, source_hash
from benchmarks.alt.methods import ABLATIONS
from benchmarks.alt.plan import Wanted
from benchmarks.alt.protocol import LIGHT_OPERATIONS, QUICK, SEARCHED_ENCODER, SIZES, Encoder, Protocol
from benchmarks.alt.report import Report
from benchmarks.alt.runner import Gathered, Runner
from benchmarks.alt.shown_command import shown_command
from benchmarks.alt.units.repetition import UnusableDataset, open_dataset, scenario_names
from benchmarks.alt.units.workplace import Workplace

INITIAL, QUICK_INITIAL = 8, 2


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m benchmarks.alt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="a folder in the three-table form")
    result.add_argument("--seeds", type=int, default=5, metavar="N", help="repetitions, of the seeds 0 to N − 1")
    result.add_argument("--json", type=Path, metavar="FILE", help="write claims and rows there, after each seed")
    result.add_argument("--out", type=Path, default=Path("build/alt"), metavar="DIR", help="cache, logs and pictures")
    result.add_argument("--quick", action="store_true", help="every part on a tiny subset, for CI; one seed")
    result.add_argument(
        "--encoders",
        type=_names([*LIGHT_OPERATIONS, SEARCHED_ENCODER]),
        default=["LSTM"],
        metavar="A,B",
        help="lstm, transformer; nas: version 1 by architecture search, which Table VI alone compares",
    )
    result.add_argument(
        "--initial",
        type=_numbers,
        metavar="N,…",
        help=f"initial scenarios (default {INITIAL}); more numbers add the tables over them, the first is the main one",
    )
    result.add_argument(
        "--only-initialization", action="store_true", help="version 1 alone, for Table VI: nothing that builds on it"
    )
    result.add_argument(
        "--ablations", type=_names(ABLATIONS), default=[], metavar="A,B", help=f"all, or of {', '.join(ABLATIONS)}"
    )
    result.add_argument(
        "--ablation-scenarios", type=int, default=6, metavar="N", help="drawn for ablations of light models"
    )
    result.add_argument("--in-flight", type=int, default=4, metavar="N", help="scenarios at a time in those of folding")
    result.add_argument(
        "--target", type=_target, action="append", default=[], metavar="METHOD=AUC", help="least average"
    )
    result.add_argument("--sizes", choices=SIZES, default="paper", help="of the models: the paper's, or our defaults")
    result.add_argument("--heavy-layers", type=int, metavar="N", help="of the heavy model, in place of these")
    result.add_argument("--light-layers", type=int, metavar="N", help="of the light models, in place of these")
    result.add_argument("--jobs", type=int, default=1, metavar="N", help="processes; 1 works in this one")
    result.add_argument("--threads", type=int, default=1, metavar="N", help="of each process")
    result.add_argument("--cached-only", action="store_true", help="start nothing, report what is done")
    return result


def _names(known: Sequence[str] | dict[str, str]):
    """A parser of a comma-separated list of these names, whatever their case."""
    by_lower = {name.lower(): name for name in known}

    def parse(text: str) -> list[str]:
        if text.lower() == "all":
            return list(known)
        unknown = [name for name in text.split(",") if name.lower() not in by_lower]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; choose of {', '.join(known)}")
        return list(dict.fromkeys(by_lower[name.lower()] for name in text.split(",")))

    return parse


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError("give different numbers of at least 1")
    return numbers


def _target(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    return name, float(value)


def protocol_of(options: argparse.Namespace) -> Protocol:
    base = QUICK if options.quick else SIZES[options.sizes]
    changes: dict[str, object] = {"threads": options.threads}
    if options.heavy_layers:
        changes["heavy"] = base.heavy.model_copy(update={"behavior_layers": options.heavy_layers})
    if options.light_layers:
        changes["light_layers"] = options.light_layers
    return base.model_copy(update=changes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 all rows are there, 1 some unit failed, 2 the caller must change something (said on stderr)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    protocol = protocol_of(options)
    initial = options.initial or [QUICK_INITIAL if options.quick else INITIAL]
    try:
        dataset = open_dataset(options.dataset)
        count = len(scenario_names(dataset, protocol))
        if max(initial) > count:
            raise UnusableDataset(f"--initial {max(initial)}: the data set has {count} scenarios; give at most so many")
    except UnusableDataset as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    encoders: list[Encoder] = [name for name in options.encoders if name != SEARCHED_ENCODER]
    schema = dataset.data_schema
    wanted = Wanted(
        encoders=encoders,
        initial=initial,
        ablations=options.ablations,
        ablation_scenarios=options.ablation_scenarios,
        in_flight=options.in_flight,
        only_initialization=options.only_initialization,
        searched_initialization=SEARCHED_ENCODER in options.encoders,
        profile=any(
            (schema.profile.categorical, schema.profile.numeric, schema.context.categorical, schema.context.numeric)
        ),
    )
    cache = Cache(options.out / "cache", data_hash(options.dataset), source_hash(), protocol)

    def report(gathered: Gathered) -> Report:
        made = Report(gathered, wanted, protocol, dict(options.target), shown_command(given))
        if options.json:
            made.write_json(options.json)
        return made

    runner = Runner(Workplace(dataset, cache), wanted, options.jobs, options.cached_only)
    gathered = runner.run(range(1 if options.quick else options.seeds), report)
    made = report(gathered)
    made.draw(options.out / "plots")
    print(made.text())
    return 1 if gathered.failed else 0


if __name__ == "__main__":
    sys.exit(main())
