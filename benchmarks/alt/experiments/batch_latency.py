"""Why a light model's latency doesn't follow its FLOPs: at batch 1 most of it is the cost of calling, not of computing.

    python -m benchmarks.alt.experiments.batch_latency --dataset DIR [--out DIR] [--seed 0]
        [--encoders lstm,transformer] [--batches 1,8,32,128] [--json FILE]

As in the comparison, the heavy model, MeL and Ours take turns in ONNX Runtime on one thread, encoding of raw values
included, all sequences maxLength events long; but also at larger batches, which is what a client that ranks many
candidates sends. Beside them stands the encoding alone, which all of them share, and how many nodes each graph has once
the runtime has optimized it.
"""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import onnx
import onnxruntime
import polars as pl

from benchmarks.alt.experiments import SCENARIOS, Measured, Row, carry_out, common_parser, encoder
from benchmarks.alt.methods import ADAPTED, LIGHT_METHODS, SEARCHED
from benchmarks.alt.protocol import Encoder
from benchmarks.alt.rows import Unit
from benchmarks.alt.targets import Targets, read_targets
from benchmarks.alt.units.latency import ExportableHeavy, in_turns
from benchmarks.alt.units.repetition import ablation_scenarios
from benchmarks.alt.units.workplace import Prepared, Workplace, owner
from benchmarks.comparison.claims import at_most
from benchmarks.comparison.results import Claim
from benchmarks.comparison.statistics import ratio
from longtail_api.store_layout import model_key
from longtail_trainer.export import export
from longtail_trainer.export.feature_graph import feature_graph
from longtail_trainer.export.parity import random_samples
from longtail_trainer.export.runtime import Feed, feed_of, session
from longtail_trainer.export.signature import inputs_of
from longtail_trainer.methods.alt.teacher import load_heavy

MODULE = "benchmarks.alt.experiments.batch_latency"
ENCODING = "Encoding alone"


def encoders(names: str) -> list[Encoder]:
    return [encoder(name) for name in names.split(",")]


def nodes(content: bytes) -> int:
    """Of the graph, after the runtime's own optimization."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder, "optimized.onnx"))
        options.log_severity_level = 3
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return len(onnx.load(options.optimized_model_filepath).graph.node)


def timer(content: bytes, feed: Feed) -> Callable[[], float]:
    runtime = session(content)

    def seconds() -> float:
        start = time.perf_counter()
        runtime.run(None, feed)
        return time.perf_counter() - start

    return seconds


def measure(workplace: Workplace, chain: Unit, batches: Sequence[int]) -> Iterator[Row]:
    """One row per drawn scenario, batch and graph. `chain`: the comparison's unit whose models these are."""
    seed = chain.seed
    store, heavy_results = workplace.store(chain), workplace.cache.done(chain).outputs["heavyResults"]
    for scenario in ablation_scenarios(list(Prepared.of(workplace, seed).manifests), seed, SCENARIOS):
        heavy = ExportableHeavy(load_heavy(store, heavy_results[scenario])).eval()
        whole = export(heavy)  # type: ignore[arg-type]
        encoding = feature_graph(heavy)  # type: ignore[arg-type]
        encoding.ir_version = onnx.load_from_string(whole).ir_version
        graphs = {
            ENCODING: encoding.SerializeToString(),
            ADAPTED: whole,
            **{method: store.get(model_key(owner(scenario), method)) for method in LIGHT_METHODS},
        }
        sizes = {method: nodes(graph) for method, graph in graphs.items()}
        longest = max((sequence.max_length for sequence in heavy.features.data_schema.behaviors), default=0)
        for batch in batches:
            # Copies of one full sample: the padding of shorter ones would be work without a purpose.
            sample = random_samples(heavy.features, 1, longest, random.Random(0))
            feed = feed_of(pl.concat([sample] * batch), inputs_of(heavy))  # type: ignore[arg-type]
            for method, (p50, p99) in in_turns({name: timer(graph, feed) for name, graph in graphs.items()}).items():
                figures = {"p50_milliseconds": p50, "p99_milliseconds": p99, "nodes": sizes[method]}
                place = {"seed": seed, "encoder": chain.encoder, "scenario": scenario, "batch": batch}
                yield {**place, "method": method, **figures}


def claims(rows: Sequence[Row], targets: Targets) -> Iterator[Claim]:
    """Median latency of Ours over the heavy model's, by batch, with the encoding and without what it takes alone.

    The comparison's target, where the data set has one, is of batch 1, encoding included.
    """
    frame = pl.DataFrame(rows)
    shared = frame.filter(pl.col("method") == ENCODING).rename({"p50_milliseconds": "encoding"})
    place = ["seed", "encoder", "scenario", "batch"]
    frame = frame.join(shared.select(*place, "encoding"), on=place, how="left")
    frame = frame.with_columns((pl.col("p50_milliseconds") - pl.col("encoding")).alias("model alone"))
    for name, batch in frame.select("encoder", "batch").unique(maintain_order=True).iter_rows():
        own = frame.filter(pl.col("encoder") == name, pl.col("batch") == batch)
        most = targets.latency_ratio.get(name) if batch == 1 else None
        for value, target, words in (("p50_milliseconds", most, ""), ("model alone", None, ", encoding aside")):
            found = ratio(own, {"method": SEARCHED}, {"method": ADAPTED}, value)
            assert found, "both were measured"
            yield at_most(f"{name}: Ours ÷ heavy, median latency, batch {batch}{words}", found, target)


def table(rows: Sequence[Row]) -> pl.DataFrame:
    """Means over scenarios: nodes, and milliseconds (median) at each batch."""
    frame, keys = pl.DataFrame(rows), ["encoder", "method"]
    sizes = frame.group_by(keys, maintain_order=True).agg(pl.col("nodes").mean().round().cast(pl.Int64))
    means = frame.group_by(*keys, "batch", maintain_order=True).agg(pl.col("p50_milliseconds").mean())
    return sizes.join(means.pivot("batch", index=keys, values="p50_milliseconds"), on=keys, maintain_order="left")


def parser() -> argparse.ArgumentParser:
    wanted = common_parser(MODULE, __doc__)
    wanted.add_argument("--seed", type=int, default=0, help="whose models")
    wanted.add_argument("--targets", type=Path, metavar="FILE", help="what the comparison was given")
    wanted.add_argument("--encoders", type=encoders, default="lstm,transformer", metavar="A,B")
    wanted.add_argument("--batches", default="1,8,32,128", metavar="N,…")
    return wanted


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status as `carry_out` has it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    batches = [int(one) for one in options.batches.split(",")]

    def measured(workplace: Workplace, initial: int) -> Measured:
        chains = [
            Unit.model_validate({"kind": "chain", "seed": options.seed, "encoder": name, "initial": initial})
            for name in options.encoders
        ]
        targets = read_targets(options.targets)
        rows = [row for chain in chains for row in measure(workplace, chain, batches)]
        return rows, list(claims(rows, targets)), table(rows)

    return carry_out(MODULE, given, options, measured)


if __name__ == "__main__":
    sys.exit(main())
