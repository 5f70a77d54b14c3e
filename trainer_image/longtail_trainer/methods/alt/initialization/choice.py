"""Both ways to a first model, gone one after the other, and the choice between what they came to (ALT, Fig. 4)."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from longtail_api.architecture import Architecture, Training
from longtail_api.base import StoreObject
from longtail_api.initialization_search import (
    HyperparameterSearch,
    InitializationOutcome,
    InitializationSearch,
    Way,
    WayOutcome,
)
from longtail_api.methods.alt import InitializeConfig
from longtail_api.store_layout import way_key
from longtail_api.store_objects import (
    EncoderSearchResult,
    Features,
    HyperparameterSearchResult,
    LightArchitecture,
    Trial,
)
from longtail_store import ObjectMissing, Store, read_object, write_object_if_absent
from longtail_trainer.methods.alt.fresh import fresh_heavy
from longtail_trainer.methods.alt.initialization.encoder_search import found_cell
from longtail_trainer.methods.alt.initialization.heavy_objective import HeavyObjective, best_architecture
from longtail_trainer.methods.alt.initialization.pool_rows import PoolRows
from longtail_trainer.methods.alt.initialization.pre_designed import PreDesigned, space_of
from longtail_trainer.methods.alt.initialization.time_limit import TimeLimit
from longtail_trainer.models.alt_heavy.sequence_layers import SEARCHED
from longtail_trainer.running.errors import PlatformError, TrainerError
from longtail_trainer.running.resume import NamedPart
from longtail_trainer.running.step import StepContext
from longtail_trainer.search.driver import Limits, NoTrialCompleted
from longtail_trainer.search.trial import TrialEnded, TrialRecord
from longtail_trainer.training.device import device_of

log = logging.getLogger(__name__)

STARTS, ENDS = 0.05, 0.8
"""The share of the step's work that the search is taken for."""
LONGEST_REASON = 300
Encoder = Literal["LSTM", "Transformer", "Searched"]
Stored = TypeVar("Stored", bound=StoreObject)


@dataclass(frozen=True)
class Chosen:
    """What the first version's model is, and how it is trained. outcome: none where nothing was searched."""

    encoder: Encoder
    architecture: Architecture
    training: Training
    cell: LightArchitecture | None = None
    outcome: InitializationOutcome | None = None


@dataclass(frozen=True)
class _Arrived:
    """What one way came to; no model where it failed."""

    outcome: WayOutcome
    model: Chosen | None = None


def as_given(config: InitializeConfig) -> Chosen:
    """The pre-designed architecture, as the spec has it."""
    return Chosen(config.encoder, config.architecture, config.training)


def choose(
    config: InitializeConfig, spec: InitializationSearch, context: StepContext, features: Features, rows: PoolRows
) -> Chosen:
    """Go the ways that the spec names; the model whose figure on validation rows is better.

    The figure is the average over the pool's scenarios of the first label's AUC (RMSE of a regression). A tie is the
    pre-designed architecture's. A way that fails, or whose time is over, is recorded, and the other one wins. What a
    way found is an object in the store: an attempt after a kill goes on from there.

    Raises `DataInvalid` where no validation row lets candidates be compared, `NoTrialCompleted` where all ways failed,
    and `Terminated` where the step is to stop.
    """
    objective = HeavyObjective(
        features, config.encoder, rows.training, rows.validations, config.seed, device_of(context)
    )
    objective.check()
    known: dict[Way, Callable[[], _Arrived]] = {
        "Hyperparameters": lambda: _tuned(config, spec.hyperparameters, context, features, rows),
        "Architecture": lambda: _searched(config, spec, context, objective, rows),
    }
    gone = [_carried_out(way, go) for way, go in known.items() if way in spec.ways]
    outcomes = [one.outcome for one in gone]
    arrived = [one for one in gone if one.model is not None and one.outcome.value is not None]
    if not arrived:
        reasons = "; ".join(f"{one.way}: {one.ended}" for one in outcomes)
        raise NoTrialCompleted(f"initialization.search came to no model: {reasons}")
    sign = 1 if objective.direction == "maximize" else -1
    best = max(arrived, key=lambda one: sign * (one.outcome.value or 0.0))
    assert best.model is not None
    outcome = InitializationOutcome(metric=objective.figure, won=best.outcome.way, ways=outcomes)
    context.progress.update(ENDS, f"{best.outcome.way} won with {objective.figure} {best.outcome.value:.4f}")
    return Chosen(best.model.encoder, best.model.architecture, best.model.training, best.model.cell, outcome)


def _carried_out(way: Way, go: Callable[[], _Arrived]) -> _Arrived:
    """What the way came to, whatever happens on it; only what the platform must see to passes through."""
    try:
        return go()
    except PlatformError:
        raise
    except TrialEnded as end:
        reason = str(end)
    except Exception as error:
        reason = f"{error.reason if isinstance(error, TrainerError) else type(error).__name__}: {error}"
    log.warning("initialization.search: %s came to nothing (%s); the other way counts", way, reason)
    return _Arrived(WayOutcome(way=way, ended=reason[:LONGEST_REASON]))


def _tuned(
    config: InitializeConfig, spec: HyperparameterSearch, context: StepContext, features: Features, rows: PoolRows
) -> _Arrived:
    """The best trial of the pre-designed architecture."""
    key = way_key(context.prefix, "Hyperparameters")
    safe = {} if spec.early_stopping == "Median" else {"trials_before_pruning": spec.max_trials}
    limits = Limits(spec.max_trials, spec.trial_deadline_seconds, spec.deadline_seconds, **safe)
    context.progress.update(STARTS, "tuning the pre-designed architecture")

    def told(trial: TrialRecord) -> None:
        context.progress.metric(trial=trial.number, state=trial.state, value=trial.value, reason=trial.reason or "")
        context.progress.update(
            STARTS + (ENDS - STARTS) / 2 * (trial.number + 1) / spec.max_trials, f"trial {trial.number}: {trial.state}"
        )

    def result() -> HyperparameterSearchResult:
        tuned = best_architecture(
            features,
            config.encoder,
            space_of(spec.space, _given(config)),
            rows.training,
            rows.validations,
            algorithm=spec.algorithm,
            limits=limits,
            seed=config.seed,
            device=device_of(context),
            resume=context.resume,
            stop=context.stop,
            on_trial=told,
        )
        return HyperparameterSearchResult(
            ended=tuned.ended,
            value=tuned.value,
            architecture=tuned.found.architecture,
            training=tuned.found.training,
            trials=[_recorded(trial) for trial in tuned.trials],
        )

    stored = _once(context.store, key, HyperparameterSearchResult, result)
    model = fresh_heavy(features, config.encoder, stored.architecture, None, config.seed, device_of(context))
    outcome = WayOutcome(
        way="Hyperparameters",
        value=stored.value,
        flops=model.flops(),
        ended=stored.ended,
        trials=dict(Counter(trial.state for trial in stored.trials)),
        details_key=key,
    )
    return _Arrived(outcome, Chosen(config.encoder, stored.architecture, stored.training))


def _searched(
    config: InitializeConfig,
    search: InitializationSearch,
    context: StepContext,
    objective: HeavyObjective,
    rows: PoolRows,
) -> _Arrived:
    """The searched behavior encoder, trained as version 1 would be: everything else is as the spec says."""
    spec, features = search.architecture, objective.features
    key = way_key(context.prefix, "Architecture")
    starts = STARTS + (ENDS - STARTS) / 2 if "Hyperparameters" in search.ways else STARTS

    def result() -> EncoderSearchResult:
        resume = NamedPart(context.resume, "architecture")
        limit = TimeLimit(spec.deadline_seconds, resume, context.stop)

        def told(epoch: int, figures: dict[str, float | str]) -> None:
            context.progress.metric(searchEpoch=epoch, **figures)
            context.progress.update(
                starts + (ENDS - starts) * epoch / (spec.gdas.epochs + 1), f"architecture search, epoch {epoch}"
            )
            limit(epoch, 0.0)

        cell, log_probability = found_cell(
            features,
            config.architecture,
            spec,
            rows,
            batch_size=config.training.batch_size,
            seed=config.seed + config.training.seed,
            device=device_of(context),
            resume=resume,
            stop=limit,
            after_epoch=told,
        )
        value = objective.of_cell(cell, resume)(_given(config), limit)
        return EncoderSearchResult(architecture=cell, log_probability=log_probability, value=value)

    stored = _once(context.store, key, EncoderSearchResult, result)
    model = fresh_heavy(features, SEARCHED, config.architecture, stored.architecture, config.seed, device_of(context))
    outcome = WayOutcome(way="Architecture", value=stored.value, flops=model.flops(), ended="Complete", details_key=key)
    return _Arrived(outcome, Chosen(SEARCHED, config.architecture, config.training, stored.architecture))


def _given(config: InitializeConfig) -> PreDesigned:
    return PreDesigned(architecture=config.architecture, training=config.training)


def _recorded(trial: TrialRecord) -> Trial:
    return Trial(
        number=trial.number,
        parameters=trial.parameters,
        state=trial.state,
        value=trial.value,
        seconds=trial.seconds,
        reason=trial.reason,
    )


def _once(store: Store, key: str, kind: type[Stored], make: Callable[[], Stored]) -> Stored:
    """The object as the store has it; made, and put there, where it hasn't."""
    try:
        return read_object(store, key, kind)
    except ObjectMissing:
        made = make()
        return made if write_object_if_absent(store, key, made) else read_object(store, key, kind)
