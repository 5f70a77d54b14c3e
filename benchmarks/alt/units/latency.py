"""latency: heavy and light models of one chain in the serving runtime, in turns: same machine, same run, one thread."""

import random
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.alt.methods import ADAPTED, LIGHT_METHODS
from benchmarks.alt.rows import Outcome, Row, Unit
from benchmarks.alt.units.light import chain_unit
from benchmarks.alt.units.workplace import Prepared, Workplace, owner, quiet
from longtail_api.store_layout import model_key
from longtail_api.store_objects import Features
from longtail_trainer.data.batches import Batch, SequenceBatch
from longtail_trainer.export import check_parity, export
from longtail_trainer.export.parity import random_samples
from longtail_trainer.export.runtime import feed_of, session
from longtail_trainer.export.signature import inputs_of
from longtail_trainer.methods.alt.teacher import load_heavy
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.alt_light.model import ColumnInputs
from longtail_trainer.models.columns import light_columns

WARM_UP, BLOCKS, RUNS = 50, 5, 200
PARITY = 1e-4


class ExportableHeavy(nn.Module):
    """A heavy model in the light model's clothes, so that the trainer's own export takes it, encoding included."""

    def __init__(self, heavy: HeavyModel) -> None:
        super().__init__()
        self.heavy = heavy
        self.features: Features = heavy.features
        self.columns = light_columns(heavy.features.data_schema)

    def forward(self, batch: Batch) -> Tensor:
        return self.heavy(batch)

    def predict(self, static: ColumnInputs, sequences: list[ColumnInputs]) -> Tensor:
        names = self.columns.sequences
        events = {name: _events(inputs) for name, inputs in zip(names, sequences, strict=True)}
        none = torch.zeros(0)
        return self.heavy(Batch(_stacked(static), static.numeric, events, none, none, none, none))


def _stacked(inputs: ColumnInputs) -> Tensor:
    """Categorical columns as one tensor (…, columns)."""
    if inputs.categorical:
        return torch.stack(inputs.categorical, dim=-1)
    return torch.zeros(*inputs.numeric.shape[:-1], 0, dtype=torch.int64)


def _events(inputs: ColumnInputs) -> SequenceBatch:
    mask = inputs.mask
    assert mask is not None, "a sequence has a mask"
    numeric = inputs.numeric if inputs.numeric.numel() or not inputs.categorical else torch.zeros(*mask.shape, 0)
    return SequenceBatch(_stacked(inputs), numeric, mask)


def run(unit: Unit, workplace: Workplace) -> Outcome:
    """Rows with latencies alone: of MeL and Ours by scenario, and of the heavy model, which is one size for all.

    In each block every model has its turn; of a model's blocks that of the lowest p99 counts, as in the trainer's own
    measurement. The heavy model passes the same parity gate before.
    """
    chain = chain_unit(unit)
    store = workplace.store(chain)
    heavy_results = workplace.cache.done(chain).outputs["heavyResults"]
    scenarios = [
        scenario
        for scenario in Prepared.of(workplace, unit.seed).manifests
        if all(store.exists(model_key(owner(scenario), method)) for method in LIGHT_METHODS)
    ]
    rows: list[Row] = []
    if not scenarios:
        return Outcome()
    heavy = ExportableHeavy(load_heavy(store, heavy_results[scenarios[0]])).eval()
    with quiet(workplace.cache.log(unit)):
        content = export(heavy)  # type: ignore[arg-type]
    check_parity(heavy, content, PARITY)  # type: ignore[arg-type]
    features = heavy.features
    longest = max((sequence.max_length for sequence in features.data_schema.behaviors), default=0)
    feed = feed_of(random_samples(features, 1, longest, random.Random(0)), inputs_of(heavy))  # type: ignore[arg-type]

    def timed(model: bytes) -> Callable[[], float]:
        runtime = session(model)

        def seconds() -> float:
            start = time.perf_counter()
            runtime.run(None, feed)
            return time.perf_counter() - start

        return seconds

    heavy_timer = timed(content)
    for scenario in scenarios:
        timers = {ADAPTED: heavy_timer}
        timers |= {method: timed(store.get(model_key(owner(scenario), method))) for method in LIGHT_METHODS}
        for method, (p50, p99) in in_turns(timers).items():
            rows.append(
                Row(
                    seed=unit.seed,
                    scenario=scenario,
                    method=method,
                    encoder=unit.encoder or "",
                    initial=unit.initial,
                    p50_milliseconds=p50,
                    p99_milliseconds=p99,
                )
            )
    return Outcome(rows=rows)


def in_turns(timers: dict[str, Callable[[], float]]) -> dict[str, tuple[float, float]]:
    """p50 and p99 of each in milliseconds, from the block with the lowest p99."""
    for timer in timers.values():
        for _ in range(WARM_UP):
            timer()
    blocks: dict[str, list[tuple[float, float]]] = {name: [] for name in timers}
    for _ in range(BLOCKS):
        for name, timer in timers.items():
            p50, p99 = np.quantile([timer() for _ in range(RUNS)], [0.5, 0.99])
            blocks[name].append((round(float(p50) * 1000, 4), round(float(p99) * 1000, 4)))
    return {name: min(found, key=lambda block: block[1]) for name, found in blocks.items()}
