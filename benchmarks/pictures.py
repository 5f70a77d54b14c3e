"""The pictures of docs/pictures: one run of one scenario on generated data, all steps as the operator has them run.

`python -m benchmarks.pictures --out docs/pictures`. Some minutes on one core. The same machine gives the same bytes.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.comparison.results import Claim, exit_status, write_result
from benchmarks.datasets.synthetic import Options, generate
from longtail_api.data_schema import DataSchema
from longtail_api.methods.alt import AdaptConfig, InitializeConfig, SearchConfig, TrainLightConfig
from longtail_api.run_config import PrepareConfig, StoreAddress
from longtail_api.store_layout import architecture_key, manifest_key, result_key
from longtail_api.store_objects import StepResult
from longtail_store import open_store
from longtail_trainer.methods import run

DATA = Options(scenarios=6, rows=8_000, test_rows=600, events=100_000, tasks=1, seed=4)
NAMES = [f"scenario-{number:04d}" for number in range(DATA.scenarios)]
ARRIVAL = "scenario-0002"
SHOWN = {
    "search": ["probabilities"],
    "train-light": ["cell", "learning-curves", "quality-cost"],
}
"""Pictures that are kept, by step."""


def owner(name: str) -> str:
    return f"docs.{name}.00000000"


def manifest(name: str) -> str:
    return manifest_key(owner(name), "d1")


def results(tables: Path, store: StoreAddress) -> list[StepResult]:
    """All scenarios prepared, all but one pooled, and that one adapted, searched for, and trained."""
    schema = DataSchema.model_validate(yaml.safe_load((tables / "schema.yaml").read_text()))
    for name in NAMES:
        run(
            "prepare",
            PrepareConfig(
                store=store, identity=f"prepare {name}", owner=owner(name), run=1, threads=1, data_schema=schema,
                samples=(tables / "samples.parquet").as_uri(), profile=(tables / "profile.parquet").as_uri(),
                behaviors={"events": (tables / "behaviors" / "events").as_uri()}, source_key=name, data_version="d1",
            ),
        )  # fmt: skip
    run(
        "initialize",
        InitializeConfig(
            store=store, identity="initialize", owner="agnostic", run=1, threads=1, data_schema=schema,
            schema_hash="docs", pool=[manifest(name) for name in NAMES if name != ARRIVAL],
        ),
    )  # fmt: skip
    common: dict[str, Any] = {"store": store, "owner": owner(ARRIVAL), "run": 1, "threads": 1}
    common |= {"manifest": manifest(ARRIVAL), "base_version": 1}
    adapted = run("adapt", AdaptConfig(identity="adapt", **common))
    common["heavy_result"] = result_key(owner(ARRIVAL), 1, "adapt")
    common["max_flops"] = adapted.outputs["heavyFlops"] // 2
    searched = run("search", SearchConfig(identity="search", **common))
    found = architecture_key(owner(ARRIVAL), 1)
    trained = run(
        "train-light", TrainLightConfig(identity="train-light", search_result=found, light_version="v1", **common)
    )
    return [searched, trained]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    result.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the SVGs go")
    result.add_argument("--json", type=Path, metavar="FILE", help="also write what was drawn to this file")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where a step drew less than is kept."""
    options = parser().parse_args(arguments)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="longtail-pictures-") as folder:
        tables, address = Path(folder, "tables"), StoreAddress(uri=Path(folder, "store").as_uri())
        tables.mkdir()
        generate(DATA, tables)
        for result in results(tables, address):
            for name in SHOWN[result.step]:
                if name in result.pictures:
                    content = open_store(address).get(result.pictures[name])
                    (out / f"{name}.svg").write_bytes(content)
                    rows.append({"step": result.step, "picture": name, "bytes": len(content)})
    wanted = sum(map(len, SHOWN.values()))
    drawn = Claim(name="pictures drawn", figure=len(rows), target=f"= {wanted}", holds=len(rows) == wanted)
    print(drawn.line())
    if options.json:
        write_result(options.json, "python -m benchmarks.pictures", time.monotonic() - started, [drawn], rows)
    return exit_status([drawn])


if __name__ == "__main__":
    sys.exit(main())
