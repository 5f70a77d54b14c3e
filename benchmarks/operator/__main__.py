"""Claim: what a Scenario costs the operator does not grow with their number; an idle operator asks for nothing.

Starts etcd and an API server, a stub of a cluster in which every Job ends well after a second, and the operator as a
process of its own. For so many Scenarios (that do not serve), of one HeavyModel and of a hundred:

- cold start: all of them are there, their HeavyModels are ready, the operator starts; Scenarios per second until the
  last has its first Job, and the operator's CPU from the first Job until all are Ready;
- a change: from the request that changes a Scenario's spec to the event of its status, while 20 other Scenarios a
  second are touched; the operator's CPU per change, those included;
- restart: from the start of the operator to the status of a Scenario that was changed while it was away;
- resync: its CPU while everything is listed and decided anew once, as a share of a core.

Then, of 11 Scenarios that serve: the requests that the API server answers while nothing happens, watches apart.

    python -m benchmarks.operator [--scenarios 100,500,2000] [--heavy-models 1,100] [--changes N] [--idle-seconds N]
                                  [--json FILE]
"""

import argparse
import asyncio
import contextlib
import math
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.comparison.results import Claim, exit_status, write_result
from benchmarks.operator.api_server import requests_answered
from benchmarks.operator.fleet import Fleet
from benchmarks.operator.node import PromptNode
from benchmarks.operator.process import cpu_seconds, memory_mib
from longtail_operator.settings import Settings
from tests.devcluster import api_server
from tests.operator.place import Place

Row = dict[str, Any]
RESYNC_SECONDS = 30
"""Of the operator whose resync is measured: its default would take as long for each row."""
DEFAULT_RESYNC_SECONDS = Settings(trainer_image="", serving_image="").resync_seconds
COLUMNS = {
    "scenarios": "Scenarios",
    "heavyModels": "HeavyModels",
    "firstJobsPerSecond": "first Jobs a second",
    "coldStartCpuSeconds": "CPU of the start, s",
    "changeP50Milliseconds": "change p50, ms",
    "changeP99Milliseconds": "change p99, ms",
    "cpuPerChangeMilliseconds": "CPU of a change, ms",
    "memoryMib": "memory, MiB",
    "restartSeconds": "restart, s",
    "resyncShareOfACore": "resync, share of a core",
}
IDLE_SCENARIOS = 11
QUIET_CPU_SHARE = 0.02


async def measured(place: Place, scenarios: int, heavy_models: int, changes: int) -> Row:
    """One row: so many Scenarios of so many HeavyModels."""
    fleet = Fleet(place, scenarios, heavy_models)
    async with place.alive(), fleet.watched():
        start(place)
        await fleet.create_models()
        await fleet.models_are_ready()
        place.stop_operator()
        await fleet.create_scenarios()
        row: Row = {"scenarios": scenarios, "heavyModels": heavy_models}
        row |= await cold_start(place, fleet)
        row |= await steady(place, fleet, changes)
        row |= await restart(place, fleet)
        return row | await resync(place)


async def cold_start(place: Place, fleet: Fleet) -> Row:
    assert isinstance(place.node, PromptNode)
    first_jobs = place.node.first_jobs
    started, pid = time.monotonic(), start(place)
    while first_jobs.keys().isdisjoint(fleet.names):
        await asyncio.sleep(0.05)
    before = cpu_seconds(pid)
    await fleet.all_is_ready()
    last = max(first_jobs[name] for name in fleet.names)
    return {
        "firstJobsPerSecond": round(len(fleet.names) / (last - started), 1),
        "readySeconds": round(time.monotonic() - started, 1),
        "coldStartCpuSeconds": round(cpu_seconds(pid) - before, 2),
    }


async def steady(place: Place, fleet: Fleet, changes: int) -> Row:
    pid = pid_of(place)
    others = asyncio.create_task(fleet.touch_for_ever())
    before, touched = cpu_seconds(pid), fleet.touched
    seconds = [await fleet.seconds_of_a_change() for _ in range(changes)]
    cpu, decided = cpu_seconds(pid) - before, changes + fleet.touched - touched
    others.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await others
    return {
        "changeP50Milliseconds": milliseconds(statistics.median(seconds)),
        "changeP99Milliseconds": milliseconds(statistics.quantiles(seconds, n=100, method="inclusive")[98]),
        "cpuPerChangeMilliseconds": milliseconds(cpu / decided),
        "memoryMib": round(memory_mib(pid), 1),
    }


async def restart(place: Place, fleet: Fleet) -> Row:
    place.stop_operator()
    name = fleet.names[-1]
    generation = await fleet.change(name)
    started = time.monotonic()
    start(place, resync_seconds=RESYNC_SECONDS)
    await fleet.told(name, generation)
    return {"restartSeconds": round(time.monotonic() - started, 1)}


async def resync(place: Place) -> Row:
    """CPU of one resync, as a share of a core when it comes as often as by default."""
    pid = pid_of(place)
    await quiet(pid)
    before = cpu_seconds(pid)
    await asyncio.sleep(RESYNC_SECONDS)
    return {"resyncShareOfACore": round((cpu_seconds(pid) - before) / DEFAULT_RESYNC_SECONDS, 4)}


async def idle(place: Place, seconds: float) -> Row:
    """What an operator asks for that has nothing to do."""
    fleet = Fleet(place, IDLE_SCENARIOS, 1)
    async with place.alive(), fleet.watched():
        pid = start(place)
        await fleet.create_models()
        await fleet.create_scenarios(serving={"slo": {"p99Milliseconds": 20}}, budget={"maxFlops": "250k"})
        await fleet.all_is_ready()
        await quiet(pid)
        before, cpu = await requests_answered(), cpu_seconds(pid)
        await asyncio.sleep(seconds)
        after = await requests_answered()
        asked = {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}
        return {
            "idleScenarios": IDLE_SCENARIOS,
            "requestsPerMinute": round(sum(asked.values()) * 60 / seconds, 2),
            "requests": asked,
            "memoryMib": round(memory_mib(pid), 1),
            "shareOfACore": round((cpu_seconds(pid) - cpu) / seconds, 4),
        }


def start(place: Place, resync_seconds: float = DEFAULT_RESYNC_SECONDS) -> int:
    """Start the operator; its process."""
    place.start_operator(RESYNC_SECONDS=str(resync_seconds))
    return pid_of(place)


def pid_of(place: Place) -> int:
    assert place.operator is not None
    return place.operator.pid


async def quiet(pid: int) -> None:
    """Wait until a process has used next to nothing for some seconds."""
    used = math.inf
    while used > QUIET_CPU_SHARE:
        before = cpu_seconds(pid)
        await asyncio.sleep(5)
        used = (cpu_seconds(pid) - before) / 5


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def table(rows: list[Row]) -> str:
    """The rows as a page shows them."""
    lines = [list(COLUMNS.values()), ["--:"] * len(COLUMNS), *([f"{row[name]:,}" for name in COLUMNS] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def growth(rows: list[Row], column: str) -> float:
    """The power of the number of Scenarios that a column follows: the slope of least squares between the logarithms."""
    sizes = [math.log(row["scenarios"]) for row in rows]
    return round(statistics.linear_regression(sizes, [math.log(row[column]) for row in rows]).slope, 3)


def claims(rows: list[Row], idle_row: Row | None) -> list[Claim]:
    found: list[Claim] = []

    def at_most(name: str, figure: float, target: float) -> None:
        found.append(Claim(name=name, figure=figure, target=f"<= {target:g}", holds=figure <= target))

    for row in rows:
        where = f"{row['scenarios']} Scenarios of {row['heavyModels']}"
        if row["scenarios"] >= 2000:
            at_most(f"{where}: p99 of a change to its status, ms", row["changeP99Milliseconds"], 1000)
            rate = row["firstJobsPerSecond"]
            found.append(Claim(name=f"{where}: first Jobs per second", figure=rate, target=">= 60", holds=rate >= 60))
            at_most(f"{where}: memory, MiB", row["memoryMib"], 300 if row["scenarios"] == 2000 else 1000)
            at_most(f"{where}: resync, share of a core", row["resyncShareOfACore"], 0.2)
            at_most(f"{where}: restart to the status of a change, s", row["restartSeconds"], 60)
    for models in sorted({row["heavyModels"] for row in rows}):
        same = [row for row in rows if row["heavyModels"] == models]
        if len(same) > 1:
            at_most(f"of {models}: CPU of a cold start follows N^", growth(same, "coldStartCpuSeconds"), 1.1)
            at_most(f"of {models}: CPU of a change follows N^", growth(same, "cpuPerChangeMilliseconds"), 0.1)
    if idle_row is not None:
        at_most("idle: requests per minute, renewed watches apart", idle_row["requestsPerMinute"], 1)
        at_most("idle: memory, MiB", idle_row["memoryMib"], 120)
    return found


def numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.operator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--scenarios", type=numbers, default=[100, 500, 2000], help="comma-separated")
    found.add_argument("--heavy-models", type=numbers, default=[1, 100], help="comma-separated")
    found.add_argument("--changes", type=int, default=200)
    found.add_argument("--idle-seconds", type=int, default=900, help="0: without this part")
    found.add_argument("--json", type=Path, help="also write the figures to this file")
    return found


def main() -> int:
    options = parser().parse_args()
    # As Ctrl-C: the API server and the operator end with the benchmark.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    rows: list[Row] = []
    idle_row: Row | None = None

    def place(folder: Path, kubeconfig: Path, name: str) -> Place:
        os.environ["KUBECONFIG"] = str(kubeconfig)
        (folder / name).mkdir()
        return Place(kubeconfig, name, folder / name, PromptNode)

    with tempfile.TemporaryDirectory(prefix="longtail-operator-") as name:
        # An API server of its own for each row: what another row has left is none of its load.
        for heavy_models in options.heavy_models:
            for scenarios in options.scenarios:
                folder = Path(name, f"{scenarios}-{heavy_models}")
                with api_server(folder / "api") as kubeconfig:
                    row = asyncio.run(
                        measured(place(folder, kubeconfig, "fleet"), scenarios, heavy_models, options.changes)
                    )
                print(row, file=sys.stderr, flush=True)
                rows.append(row)
        if options.idle_seconds:
            folder = Path(name, "idle")
            with api_server(folder / "api") as kubeconfig:
                idle_row = asyncio.run(idle(place(folder, kubeconfig, "fleet"), options.idle_seconds))
            print(idle_row, file=sys.stderr, flush=True)
    print(table(rows))
    found = claims(rows, idle_row)
    for claim in found:
        print(claim.line())
    if options.json:
        sizes, models = (",".join(map(str, given)) for given in (options.scenarios, options.heavy_models))
        command = (
            f"python -m benchmarks.operator --scenarios {sizes} --heavy-models {models} --changes {options.changes} "
            f"--idle-seconds {options.idle_seconds}"
        )
        write_result(
            options.json, command, time.monotonic() - started, found, [*rows, *([idle_row] if idle_row else [])]
        )
    return exit_status(found)


if __name__ == "__main__":
    sys.exit(main())
