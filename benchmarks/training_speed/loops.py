"""One class for each loop: made with the rows and the batch size, called for an epoch. A new one is a class and a line.

Each trains with what its library has for it: its own loader, its own trainer, its own defaults. None of them validates.
"""
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.training_speed.module import LEARNING_RATE, EmbeddingLstmPerceptron
from benchmarks.training_speed.rows import EVENTS, LONGEST, NUMBERS, VOCABULARIES, Rows, module

CATEGORICAL = [f"c{number}" for number in range(len(VOCABULARIES))]
NUMERIC = [f"n{number}" for number in range(NUMBERS)]


class Loop(Protocol):
    """`module` is what it trains."""

    module: EmbeddingLstmPerceptron

    def epoch(self) -> None:
        """Train on every row once, in an order of its own."""
        ...


class Bare:
    """Torch alone, on tensors that are encoded and padded already: shuffle, slice, step."""

    def __init__(self, rows: Rows, batch_size: int) -> None:
        self.rows, self.batch_size, self.module = rows, batch_size, module()
        self._optimizer = torch.optim.AdamW(self.module.parameters(), lr=LEARNING_RATE, fused=True)

    def epoch(self) -> None:
        rows = self.rows
        self.module.train()
        for chosen in torch.randperm(len(rows)).split(self.batch_size):
            inputs = (rows.categorical[chosen], rows.numeric[chosen], rows.events[chosen], rows.lengths[chosen])
            self._optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(self.module(*inputs), rows.label[chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
            self._optimizer.step()


class Ours:
    """The trainer's loop, on its own encoded rows: events unpadded until a batch is cut."""

    def __init__(self, rows: Rows, batch_size: int) -> None:
        from longtail_api.data_schema import DataSchema
        from longtail_trainer.data.batches import Batch
        from longtail_trainer.data.encoded import EncodedSequence, EncodedSplit, offsets_of
        from longtail_trainer.running.stop import NeverStops
        from longtail_trainer.training.loss import LabelLosses
        from longtail_trainer.training.settings import TrainingSettings
        from longtail_trainer.training.supervised import train

        self.module = module()

        class OfBatch(nn.Module):
            """The module, as the trainer calls one."""

            def __init__(self, inner: EmbeddingLstmPerceptron) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, batch: Batch) -> Tensor:
                events = batch.sequences["events"]
                lengths = events.mask.sum(dim=1)
                logits = self.inner(batch.categorical, batch.numeric, events.categorical[..., 0], lengths)
                return logits[:, None]

        present = torch.arange(LONGEST) < rows.lengths[:, None]
        events = rows.events[present][:, None]
        split = EncodedSplit(
            categorical=rows.categorical.to(torch.int16),
            numeric=rows.numeric,
            sequences={
                "events": EncodedSequence(events.to(torch.int16), torch.zeros(len(events), 0), offsets_of(rows.lengths))
            },
            labels=rows.label[:, None],
            observed=torch.ones(len(rows), 1),
            weight=torch.ones(len(rows)),
            entity=torch.zeros(len(rows), dtype=torch.int64),
        )
        schema = DataSchema.model_validate({"labels": [{"name": "label"}], "context": {"categorical": CATEGORICAL}})
        settings = TrainingSettings(epochs=1, batch_size=batch_size, learning_rate=LEARNING_RATE, seed=0)
        wrapped, losses = OfBatch(self.module), LabelLosses.of(schema)
        self._train = lambda: train(wrapped, split, None, losses, settings, resume=None, stop=NeverStops())

    def epoch(self) -> None:
        self._train()


class FuxiCtr:
    """FuxiCTR: its loader of `.npz` files and its trainer, Adam."""

    def __init__(self, rows: Rows, batch_size: int) -> None:
        # Its preparation of tables, which this leaves out, imports libraries of some 200 MB.
        for name in ("ray", "ray.data", "ray.data.datasource", "ray.data.datasource.filename_provider", "h5py"):
            sys.modules.setdefault(name, MagicMock())
        from fuxictr.features import FeatureMap
        from fuxictr.pytorch.dataloaders.npz_dataloader import NpzDataLoader
        from fuxictr.pytorch.models import BaseModel

        inner = self.module = module()
        features = FeatureMap("made-up", "")
        features.labels = ["label"]
        features.features = {name: {"type": "categorical", "source": ""} for name in CATEGORICAL}
        features.features |= {name: {"type": "numeric", "source": ""} for name in [*NUMERIC, "lengths"]}
        features.features["events"] = {"type": "sequence", "source": "", "max_len": LONGEST, "vocab_size": EVENTS}
        features.set_column_index()

        class Model(BaseModel):
            """The module, as the library calls one."""

            def __init__(self) -> None:
                super().__init__(features, verbose=0, model_root=tempfile.gettempdir(), metrics=["AUC"], monitor="AUC")
                self.inner = inner
                self.compile("adam", "binary_crossentropy", LEARNING_RATE)
                self._eval_steps, self._total_steps, self._stop_training = sys.maxsize, 0, False
                self._max_gradient_norm = 1.0

            def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
                columns = self.get_inputs(inputs)
                categorical = torch.stack([columns[name].long() for name in CATEGORICAL], dim=1)
                numeric = torch.stack([columns[name].float() for name in NUMERIC], dim=1)
                logits = self.inner(categorical, numeric, columns["events"].long(), columns["lengths"].long())
                return {"y_pred": torch.sigmoid(logits)[:, None]}

        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder, "rows.npz"))
            np.savez(file, **_columns(rows))
            self._loader = NpzDataLoader(features, file, batch_size=batch_size, shuffle=True, num_workers=0)
        self._model = Model()

    def epoch(self) -> None:
        self._model.train_epoch(self._loader)


class TorchRechub:
    """torch-rechub: its data generator and its trainer, Adam."""

    def __init__(self, rows: Rows, batch_size: int) -> None:
        from torch_rechub.trainers import CTRTrainer
        from torch_rechub.utils.data import DataGenerator

        inner = self.module = module()

        class Model(nn.Module):
            """The module, as the library calls one."""

            def __init__(self) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, columns: Mapping[str, Tensor]) -> Tensor:
                categorical = torch.stack([columns[name] for name in CATEGORICAL], dim=1)
                numeric = torch.stack([columns[name] for name in NUMERIC], dim=1)
                return torch.sigmoid(self.inner(categorical, numeric, columns["events"], columns["lengths"]))

        columns = _columns(rows)
        label = columns.pop("label")
        few = {name: values[:1] for name, values in columns.items()}
        generator = DataGenerator(columns, label)
        self._loader, _, _ = generator.generate_dataloader(
            x_val=few, y_val=label[:1], x_test=few, y_test=label[:1], batch_size=batch_size, num_workers=0
        )
        self._trainer = CTRTrainer(Model(), optimizer_params={"lr": LEARNING_RATE, "weight_decay": 0})

    def epoch(self) -> None:
        self._trainer.train_one_epoch(self._loader)


def _columns(rows: Rows) -> dict[str, Any]:
    """By name, as arrays."""
    found = {name: rows.categorical[:, number].numpy() for number, name in enumerate(CATEGORICAL)}
    found |= {name: rows.numeric[:, number].numpy() for number, name in enumerate(NUMERIC)}
    return found | {"lengths": rows.lengths.numpy(), "events": rows.events.numpy(), "label": rows.label.numpy()}


OURS, BARE = "ours", "bare torch"
LOOPS: dict[str, Callable[[Rows, int], Loop]] = {
    OURS: Ours,
    BARE: Bare,
    "FuxiCTR": FuxiCtr,
    "torch-rechub": TorchRechub,
}
PEERS = {"FuxiCTR": "fuxictr", "torch-rechub": "torch_rechub"}
"""Packages of the loops that are other libraries'."""


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """What a library prints meanwhile is nobody's business."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
