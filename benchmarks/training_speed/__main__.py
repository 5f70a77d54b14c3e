"""Claim: our training loop passes at least twice as many samples a second as those of FuxiCTR and torch-rechub.

    python -m benchmarks.training_speed [--samples 20000] [--batch 256] [--rounds 7] [--peers DIR] [--json FILE]

All train the same module (embeddings, LSTM, perceptron) on the same encoded rows with one thread, each in a process of
its own; they take turns, an epoch each. Beside them stands a bare torch loop on encoded, padded tensors: where another
library exceeds .45 of that, .9 of it is what is asked of ours. The other libraries are looked for in DIR, made by

    python -m pip install --no-deps --target DIR fuxictr torch-rechub pandas python-dateutil pytz tzdata six

so that they share our torch; what isn't there is left out, and said.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.comparison.results import Claim, exit_status, write_result
from benchmarks.comparison.statistics import two_way_interval
from benchmarks.training_speed.loops import BARE, LOOPS, OURS, PEERS
from benchmarks.training_speed.rows import Rows

TIMES_A_PEER, OF_BARE, FAST_PEER = 2.0, 0.9, 0.45


class Worker:
    """A loop's process. Raises `RuntimeError` where it ends early."""

    def __init__(self, name: str, rows: Path, batch: int, peers: Path | None) -> None:
        path = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
        if name in PEERS:
            path.append(str(peers))
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.training_speed.worker", name, str(rows), str(batch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        )

    def __enter__(self) -> "Worker":
        self._line()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def epoch(self) -> tuple[float, float]:
        """Its seconds, and the loss after it."""
        assert self._process.stdin is not None, "it has a pipe"
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        seconds, loss = map(float, self._line().split())
        return seconds, loss

    def _line(self) -> str:
        assert self._process.stdout is not None, "it has a pipe"
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: its process ended with {self._process.wait()}; its error is above")
        return line


def measure(samples: int, batch: int, rounds: int, peers: Path | None, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each loop and round; a first epoch warms each up and counts in nothing."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="longtail-training-speed-") as folder, ExitStack() as stack:
        file = Path(folder, "rows.pt")
        Rows.drawn(samples, seed=0).save(file)
        workers = [stack.enter_context(Worker(name, file, batch, peers)) for name in names]
        for worker in workers:
            worker.epoch()
        for number in range(rounds):
            for worker in workers:
                seconds, loss = worker.epoch()
                speed = round(samples / seconds, 1)
                rows.append({"loop": worker.name, "round": number, "samplesPerSecond": speed, "loss": round(loss, 5)})
    return rows


def claims(rows: Sequence[dict[str, Any]]) -> Iterator[Claim]:
    """Of ratios taken round by round; 95 % over rounds."""
    speeds = {name: np.array([row["samplesPerSecond"] for row in rows if row["loop"] == name]) for name in LOOPS}
    of_bare = float(np.median(speeds[OURS] / speeds[BARE]))
    for name in (*PEERS, BARE):
        if not len(speeds[name]):
            continue
        ratios = speeds[OURS] / speeds[name]
        rounds = np.arange(len(ratios))
        low, high = two_way_interval(ratios, rounds, np.zeros_like(rounds))
        figure, target, holds = float(np.median(ratios)), None, None
        if name != BARE:
            fast = float(np.median(speeds[name] / speeds[BARE])) > FAST_PEER
            holds = figure >= TIMES_A_PEER or (fast and of_bare >= OF_BARE)
            target = f"≥ {TIMES_A_PEER:g}, or ≥ {OF_BARE} of bare torch where it exceeds {FAST_PEER} of that"
        yield Claim(
            name=f"samples a second, ours ÷ {name}",
            figure=round(figure, 3),
            interval=(round(low, 3), round(high, 3)),
            target=target,
            holds=holds,
        )


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m benchmarks.training_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--samples", type=int, default=20_000, metavar="N")
    result.add_argument("--batch", type=int, default=256, metavar="N")
    result.add_argument("--rounds", type=int, default=7, metavar="N", help="epochs of each that count")
    result.add_argument("--peers", type=Path, metavar="DIR", help="where the other libraries are installed")
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where a target is missed."""
    options = parser().parse_args(arguments)
    started = time.monotonic()
    absent = [name for name, package in PEERS.items() if not (options.peers and (options.peers / package).is_dir())]
    for name in absent:
        print(f"{name} is left out: --peers DIR names no folder with {PEERS[name]} in it")
    names = [name for name in LOOPS if name not in absent]
    rows = measure(options.samples, options.batch, options.rounds, options.peers, names)
    for name in names:
        speeds = [row["samplesPerSecond"] for row in rows if row["loop"] == name]
        loss = next(row["loss"] for row in reversed(rows) if row["loop"] == name)
        print(f"{name:<14} {median(speeds):>10,.0f} samples a second, loss {loss:.4f} in the end")
    found = list(claims(rows))
    for claim in found:
        print(claim.line())
    if options.json:
        command = f"python -m benchmarks.training_speed --samples {options.samples} --batch {options.batch}"
        command += f" --rounds {options.rounds}" + ("" if options.peers is None else f" --peers {options.peers.name}")
        write_result(options.json, command, time.monotonic() - started, found, rows)
    return exit_status(found)


if __name__ == "__main__":
    sys.exit(main())
