"""Training by two processes against one: the weights they come to, and what a killed one does to the result.

The weights: the same steps on the same global batches by one process and by two, in double precision (their
difference must be rounding alone) and in single precision (which shows how far rounding drifts).

Kills: `initialize` in two pods, each a group of processes that is started again as an Indexed Job would. At a random
moment all processes of a random pod are killed. What is committed in the end must be what an undisturbed run commits,
bit for bit.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.comparison.results import Claim, exit_status, write_result
from benchmarks.comparison.shown_command import shown_command
from benchmarks.memory import DATA_VERSION, carried_out, make_tables, owner, prepare_config, schema_of
from benchmarks.two_ranks.pods import Pod, run_ranks, run_step
from longtail_api.architecture import Architecture, Training
from longtail_api.methods.alt import InitializeConfig
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import manifest_key
from longtail_store import Chain, open_store

MODULE = "benchmarks.two_ranks"
EXACT = 1e-9


def prepared_pool(folder: Path, events: int, epochs: int) -> InitializeConfig:
    """Two scenarios, prepared; `initialize` of both."""
    tables, store = folder / "tables", folder / "store"
    scenarios = make_tables(tables, events, 2)
    for scenario in scenarios:
        carried_out("prepare", prepare_config(tables, store, scenario).model_copy(update={"threads": 1}), folder)
    return InitializeConfig(
        store=StoreAddress(uri=store.as_uri()),
        identity="benchmark",
        owner="agnostic",
        run=1,
        threads=1,
        data_schema=schema_of(tables),
        schema_hash="benchmark",
        architecture=Architecture(dropout="0"),  # pyright: ignore[reportArgumentType]
        training=Training(epochs=epochs, batch_size=64),
        pool=[manifest_key(owner(scenario), DATA_VERSION) for scenario in scenarios],
    )


def written(config: InitializeConfig, file: Path) -> Path:
    file.write_text(config.model_dump_json(by_alias=True, exclude_none=True))
    return file


def largest_difference(config: Path, folder: Path, steps: int, dtype: str) -> float:
    """Of any weight, between one process and two."""
    import torch  # after the memory of other processes was taken, see `benchmarks.memory`

    found: list[dict[str, Any]] = []
    for world in (1, 2):
        out = folder / f"{dtype}-{world}.pt"
        command = [sys.executable, "-m", f"{MODULE}.training", "--config", str(config), "--steps", str(steps)]
        run_ranks([*command, "--dtype", dtype, "--out", str(out)], world)
        found.append(torch.load(out, weights_only=True))
    alone, together = found
    return max(float((alone[name].double() - together[name].double()).abs().max()) for name in alone)


def committed(config: InitializeConfig, folder: Path, kill_after: float | None, victim: int) -> dict[str, Any]:
    """Run `initialize` in two pods, on a copy of the prepared store, and kill one of them; what came of it."""
    shutil.rmtree(folder, ignore_errors=True)
    store = folder / "store"
    shutil.copytree(Path(config.store.uri.removeprefix("file://")), store)
    own = config.model_copy(update={"store": StoreAddress(uri=store.as_uri())})
    file = written(own, folder / "initialize.json")
    killed: list[float] = []

    def meddle(seconds: float, pods: list[Pod]) -> None:
        if kill_after is not None and seconds >= kill_after and not killed and pods[victim].kill():
            killed.append(round(seconds, 2))

    started = time.monotonic()
    pods = run_step(["initialize", "--config", str(file)], folder, meddle)
    version = Chain(open_store(own.store)).head()
    assert version is not None
    return {
        "killed_after": killed[0] if killed else None,
        "pod": victim if killed else None,
        "exit_codes": [pod.exit_codes for pod in pods],
        "seconds": round(time.monotonic() - started, 1),
        "versions": version.number,
        "checkpoint": version.checkpoint.sha256,
    }


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog=f"python -m {MODULE}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--events", type=int, default=60_000, help="of the synthetic tables")
    result.add_argument("--steps", type=int, default=100, help="of training, by one process and by two")
    result.add_argument("--epochs", type=int, default=12, help="of the runs that are killed")
    result.add_argument("--kills", type=int, default=20, help="runs in which a pod is killed")
    result.add_argument("--seed", type=int, default=0, help="of the moments and the pods")
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return result


def main() -> int:
    options = parser().parse_args()
    started = time.monotonic()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="longtail-two-ranks-") as work:
        folder = Path(work)
        config = prepared_pool(folder, options.events, options.epochs)
        file = written(config, folder / "initialize.json")
        exact, drift = (largest_difference(file, folder, options.steps, dtype) for dtype in ("float64", "float32"))
        undisturbed = committed(config, folder / "run", None, 0)
        rows = [undisturbed]
        print(f"undisturbed: {undisturbed['seconds']} s", flush=True)
        hit: list[dict[str, Any]] = []
        while len(hit) < options.kills:
            moment = chance.uniform(0, undisturbed["seconds"])
            row = committed(config, folder / "run", moment, chance.randrange(2))
            rows.append(row)
            if row["killed_after"] is not None:  # else the run was faster than the undisturbed one, and over
                hit.append(row)
                print(f"kill {len(hit)} of {options.kills}: {row}", flush=True)
    alike = sum(row["checkpoint"] == undisturbed["checkpoint"] and row["versions"] == 1 for row in hit)
    claims = [
        Claim(
            name=f"largest difference of a weight after {options.steps} steps in float64, two ranks and one",
            figure=exact,
            target=f"< {EXACT:g}",
            holds=exact < EXACT,
        ),
        Claim(name=f"the same in float32, after {options.steps} steps", figure=drift),
        Claim(
            name=f"of {len(hit)} runs with a killed pod, those that ended as the undisturbed one",
            figure=alike,
            target=f"{len(hit)}",
            holds=alike == len(hit),
        ),
    ]
    for claim in claims:
        print(claim.line())
    if options.json:
        write_result(options.json, shown_command(sys.argv[1:], MODULE), time.monotonic() - started, claims, rows)
    return exit_status(claims)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{MODULE}: {error}")
