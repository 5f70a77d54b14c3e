"""`python -m benchmarks.alt --dataset DIR --seeds N --json FILE`: ALT's methods against each other and baselines.

Each seed tests a fold of its own, and draws initial scenarios and the order in which the others arrive; each arrival
starts from the version committed so far. What is done is kept under --out: the same command goes on where it was
interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.alt.benchmark import AltBenchmark
from benchmarks.alt.claims import claims
from benchmarks.alt.methods import ABLATIONS, METHODS
from benchmarks.alt.plan import Wanted
from benchmarks.alt.protocol import LIGHT_OPERATIONS, QUICK, SEARCHED_ENCODER, SIZES, Encoder, Protocol
from benchmarks.alt.results import columns_to_write, results
from benchmarks.alt.rows import Outcome
from benchmarks.alt.tables import tables
from benchmarks.alt.targets import Targets, read_targets
from benchmarks.alt.units import SOURCES
from benchmarks.alt.units.workplace import Workplace
from benchmarks.comparison.cache import Cache, data_hash, source_hash
from benchmarks.comparison.command import WRONG, add_options, compare, names
from benchmarks.comparison.dataset import UnusableDataset, open_dataset, scenario_names
from benchmarks.comparison.report import Shown
from benchmarks.comparison.runner import Gathered
from benchmarks.comparison.shown_command import shown_command

MODULE = "benchmarks.alt"
INITIAL, QUICK_INITIAL = 8, 2


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog=f"python -m {MODULE}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(result, METHODS, out=Path("build/alt"))
    result.add_argument("--quick", action="store_true", help="every part on a tiny subset, for CI; one seed")
    result.add_argument(
        "--encoders",
        type=names({name: name for name in (*LIGHT_OPERATIONS, SEARCHED_ENCODER)}),
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
        "--ablations",
        type=names({name: name for name in ABLATIONS}),
        default=[],
        metavar="A,B",
        help=f"all, or of {', '.join(ABLATIONS)}",
    )
    result.add_argument(
        "--ablation-scenarios", type=int, default=6, metavar="N", help="drawn for ablations of light models"
    )
    result.add_argument("--in-flight", type=int, default=4, metavar="N", help="scenarios at a time in those of folding")
    result.add_argument(
        "--targets", type=Path, metavar="FILE", help="what is expected of this data set (see benchmarks/alt/targets)"
    )
    result.add_argument(
        "--target", type=_target, action="append", default=[], metavar="METHOD=AUC", help="least average"
    )
    result.add_argument("--sizes", choices=SIZES, default="paper", help="of the models: the paper's, or our defaults")
    result.add_argument("--heavy-layers", type=int, metavar="N", help="of the heavy model, in place of these")
    result.add_argument("--light-layers", type=int, metavar="N", help="of the light models, in place of these")
    return result


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
    if options.scenarios:
        changes["scenarios"] = options.scenarios
    if options.heavy_layers:
        changes["heavy"] = base.heavy.model_copy(update={"behavior_layers": options.heavy_layers})
    if options.light_layers:
        changes["light_layers"] = options.light_layers
    return base.model_copy(update=changes)


def shown(gathered: Gathered, wanted: Wanted, targets: Targets) -> Shown:
    """Nothing, until some row has an AUC."""
    if all(row.auc is None for row in gathered.rows):
        return Shown()
    rows = results(gathered.rows, gathered.scenarios, wanted.initial[0])
    found = claims(rows, wanted, gathered.outputs.get("budgets", []), targets)
    return Shown(columns_to_write(rows), found, tables(rows, wanted))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 all rows are there, 1 some unit failed, 2 the caller must change something, 143 SIGTERM."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    protocol = protocol_of(options)
    initial = options.initial or [QUICK_INITIAL if options.quick else INITIAL]
    try:
        dataset = open_dataset(options.dataset)
        targets = read_targets(options.targets)
        count = len(scenario_names(dataset, protocol.scenarios))
        if max(initial) > count:
            raise UnusableDataset(f"--initial {max(initial)}: the data set has {count} scenarios; give at most so many")
    except UnusableDataset as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG
    targets = targets.model_copy(update={"averages": {**targets.averages, **dict(options.target)}})
    encoders: list[Encoder] = [name for name in options.encoders if name != SEARCHED_ENCODER]
    schema = dataset.data_schema
    wanted = Wanted(
        encoders=encoders,
        methods=options.methods,
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
    cache = Cache(options.out / "cache", data_hash(options.dataset), source_hash(SOURCES), protocol, Outcome)
    return compare(
        AltBenchmark(Workplace(dataset, cache), wanted),
        options,
        protocol,
        shown_command(given, MODULE),
        lambda gathered: shown(gathered, wanted, targets),
        seeds=1 if options.quick else None,
    )


if __name__ == "__main__":
    sys.exit(main())
