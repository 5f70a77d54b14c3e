"""single: the heavy model trained from fresh weights on one scenario (SinH), and the same without its sequences."""

import time

from benchmarks.alt.methods import PROFILE_ONLY, SINGLE_PAPER_SCHEDULE, SINGLE_POOLED_SCHEDULE
from benchmarks.alt.rows import Outcome, Row, Unit
from benchmarks.alt.units.workplace import Prepared, Workplace
from benchmarks.comparison.rows import figures
from benchmarks.comparison.stopping import STOPPING
from longtail_api.store_layout import statistics_key
from longtail_api.store_objects import Statistics
from longtail_store import read_object
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.features import fit_features
from longtail_trainer.data.loading import load_split
from longtail_trainer.methods.alt.fresh import pooled_training
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.training.device import training_device
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.seeds import seeded
from longtail_trainer.training.settings import TrainingSettings, minibatch
from longtail_trainer.training.supervised import train


def run(unit: Unit, workplace: Workplace) -> Outcome:
    """One row: `unit.variant` is the method. Features, too, are fitted on the scenario's own training rows.

    A training this short begins again where it is interrupted.
    """
    prepared = Prepared.of(workplace, unit.seed)
    store = workplace.store(prepared.unit)
    manifest = prepared.manifest(workplace, unit.scenario)
    started = time.monotonic()
    schema = manifest.data_schema
    if unit.variant == PROFILE_ONLY:
        schema = schema.model_copy(update={"behaviors": []})
    statistics = read_object(store, statistics_key(manifest.scenario, manifest.version), Statistics)
    features = fit_features(schema, statistics)

    def split(*names: str) -> EncodedSplit:
        return concatenate([load_split(store, manifest, name, features) for name in names])  # type: ignore[arg-type]

    rows, validation, test = split("support", "query"), split("validation"), split("test")
    device = training_device(workplace.protocol.threads)
    with seeded(unit.seed):
        model = HeavyModel(features, unit.encoder or "LSTM", workplace.protocol.heavy).to(device)
    settings = _settings(unit, workplace, len(rows))
    train(model, rows, validation, LabelLosses.of(schema), settings, resume=None, stop=STOPPING)
    seconds = time.monotonic() - started
    row = Row(
        seed=unit.seed,
        scenario=unit.scenario,
        method=unit.variant,
        encoder=unit.encoder or "",
        training_rows=len(rows),
        flops=model.flops(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        seconds=round(seconds, 3),
        **figures(evaluate(predict(model, test), test, features)),
    )
    return Outcome(rows=[row])


def _settings(unit: Unit, workplace: Workplace, rows: int) -> TrainingSettings:
    single = workplace.protocol.single
    if unit.variant == SINGLE_POOLED_SCHEDULE:
        return pooled_training(workplace.protocol.training, unit.seed)
    if unit.variant == SINGLE_PAPER_SCHEDULE:
        return TrainingSettings(epochs=5, batch_size=512, learning_rate=0.001, seed=unit.seed)
    return TrainingSettings(
        epochs=single.epochs,
        batch_size=minibatch(rows, single.batch_size),
        learning_rate=single.learning_rate,
        seed=unit.seed,
        patience=single.patience,
    )
