"""What a GPU brings: the same losses, samples per second against the CPU and the hardware's limits, every step of ALT.

    python -m benchmarks.gpu [--events 400000] [--json benchmarks/results/gpu.json]

Takes under eight minutes where there is a GPU, and ends with 2 where there is none. The limit ("roofline") of a
training is the lower of two: its floating point operations at the rate of a large matrix product in float32, and the
bytes of its weights and optimizer states at the rate of a copy, both measured on the same card. These models are small:
what is far below the limit is launching work, not doing it.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.comparison.results import Claim, exit_status, write_result
from benchmarks.comparison.shown_command import shown_command
from benchmarks.memory import carried_out, make_tables, prepare_config
from benchmarks.training_memory import training_configs
from benchmarks.two_ranks.training import pool_rows
from longtail_api.methods.alt import InitializeConfig
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.methods.alt.fresh import fresh_heavy
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.running.stop import NeverStops
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import train

MODULE = "benchmarks.gpu"
NO_GPU = 2
SAME_LOSS = 1e-3
"""Relative: the order of sums differs, and steps carry it on."""
BATCH_SIZES = (256, 4096)
MATRIX, COPIED = 4096, 256 * 2**20


@dataclass(frozen=True)
class Measured:
    """One training: its losses by epoch, and how fast its epochs after the first were."""

    device: str
    batch_size: int
    losses: tuple[float, ...]
    samples_per_second: float
    limit: float
    """Samples per second that the card could do; infinite on the CPU, of which nothing is claimed."""


def seconds_of(work: Any, device: torch.device, repeats: int = 10) -> float:
    """Of one call, the mean of several after two to warm up."""
    for _ in range(2):
        work()
    settle(device)
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    settle(device)
    return (time.perf_counter() - started) / repeats


def settle(device: torch.device) -> None:
    """Wait for what the device was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rates(device: torch.device, matrix: int = MATRIX, copied: int = COPIED) -> tuple[float, float]:
    """Floating point operations, and bytes read or written, per second."""
    left = torch.randn(matrix, matrix, device=device)
    source, target = (torch.zeros(copied // 4, device=device) for _ in range(2))
    multiply, copy = seconds_of(lambda: left @ left, device), seconds_of(lambda: target.copy_(source), device)
    return 2 * matrix**3 / multiply, 2 * copied / copy


def limit(model: RankingModel, batch_size: int, operations: float, bandwidth: float) -> float:
    """Samples per second at most. A step is three forward passes of operations (forward, and two products backward for
    each); it reads weights, gradients and both moments of AdamW, and writes all but the gradients, besides writing
    those."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return min(operations / (3 * model.flops()), batch_size * bandwidth / (8 * weights))


def measured(
    model: RankingModel, rows: EncodedSplit, batch_size: int, epochs: int, speeds: tuple[float, float] | None
) -> Measured:
    """Train a model, in place, where it is."""
    device = next(model.parameters()).device
    losses: list[float] = []
    ends: list[float] = []

    def told(epoch: int, training_loss: float, validation_loss: float) -> None:
        settle(device)
        losses.append(training_loss)
        ends.append(time.perf_counter())

    settings = TrainingSettings(epochs=epochs, batch_size=batch_size, learning_rate=0.001, seed=0, patience=None)
    train(model, rows, None, LabelLosses.of(model.features.data_schema), settings, None, NeverStops(), told)
    speed = len(rows) * (epochs - 1) / (ends[-1] - ends[0])
    most = float("inf") if speeds is None else limit(model, batch_size, *speeds)
    return Measured(device.type, batch_size, tuple(losses), round(speed, 1), most)


def both(config: InitializeConfig, device: torch.device, epochs: int = 3) -> Iterator[tuple[Measured, Measured]]:
    """The same training on the CPU and on the device, batch size by batch size."""
    features, rows = pool_rows(config)
    speeds = rates(device) if device.type == "cuda" else None
    for batch_size in BATCH_SIZES:
        found: list[Measured] = []
        for place in (torch.device("cpu"), device):
            model = fresh_heavy(features, config.encoder, config.architecture, None, config.seed, place)
            found.append(measured(model, rows, batch_size, epochs, speeds if place == device else None))
        yield found[0], found[1]


def claims_of(on_cpu: Measured, on_gpu: Measured) -> list[Claim]:
    """What one batch size shows."""
    apart = max(abs(a - b) / abs(a) for a, b in zip(on_cpu.losses, on_gpu.losses, strict=True))
    size = on_cpu.batch_size
    return [
        Claim(
            name=f"largest relative difference of an epoch's loss from the CPU's, batches of {size}",
            figure=apart,
            target=f"< {SAME_LOSS:g}",
            holds=apart < SAME_LOSS,
        ),
        Claim(
            name=f"samples per second, of the CPU's, batches of {size}",
            figure=on_gpu.samples_per_second / on_cpu.samples_per_second,
        ),
        Claim(
            name=f"samples per second, of the card's limit, batches of {size}",
            figure=on_gpu.samples_per_second / on_gpu.limit,
        ),
    ]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog=f"python -m {MODULE}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--events", type=int, default=400_000, help="of the synthetic tables, a tenth as many samples")
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return result


def main() -> int:
    options = parser().parse_args()
    if not torch.cuda.is_available():
        print(f"{MODULE}: there is no CUDA device here; run it where there is one", file=sys.stderr)
        return NO_GPU
    started = time.monotonic()
    claims: list[Claim] = []
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="longtail-gpu-") as work:
        folder = Path(work)
        tables, store = folder / "tables", folder / "store"
        scenarios = make_tables(tables, options.events, 2)
        for scenario in scenarios:
            carried_out("prepare", prepare_config(tables, store, scenario), folder)
        configs = training_configs(tables, store, scenarios, epochs=2)
        pool = configs["initialize"]
        assert isinstance(pool, InitializeConfig)
        certain = pool.architecture.model_validate(pool.architecture.model_dump() | {"dropout": "0"})
        for on_cpu, on_gpu in both(pool.model_copy(update={"architecture": certain}), torch.device("cuda")):
            rows += [vars(on_cpu), vars(on_gpu)]
            claims += claims_of(on_cpu, on_gpu)
            print(f"{on_cpu}\n{on_gpu}", flush=True)
        for step, config in configs.items():
            usage = carried_out(step, config.model_copy(update={"device": "Cuda", "threads": None}), folder)
            rows.append({"step": step, **vars(usage)})
            claims.append(Claim(name=f"{step} on the GPU, seconds", figure=usage.seconds))
    for claim in claims:
        print(claim.line())
    if options.json:
        more = {"device": torch.cuda.get_device_name(0)}
        write_result(options.json, shown_command(sys.argv[1:], MODULE), time.monotonic() - started, claims, rows, more)
    return exit_status(claims)


if __name__ == "__main__":
    sys.exit(main())
