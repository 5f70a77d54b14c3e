"""Periodic meta-training of a HeavyModel (ALT III-C): when it is due, its Job, and what its end means.

It pauses folding: feedback that comes in meanwhile waits, and is folded into the version that then stands. That saves
work and decides nothing, since the Job commits right after the version it started from, or starts over.
"""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import HeavyModelStatus, MetaTraining, MetaTrainingStatus
from longtail_api.methods.alt import MetaTrainConfig
from longtail_api.store_layout import AGNOSTIC
from longtail_api.store_objects import Metric, Termination, Version
from longtail_operator.heavy_model.world import HeavyModelWorld
from longtail_operator.kubernetes.clock import read, written
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.identity import child_name, identity
from longtail_operator.kubernetes.job_follower import Desired, follow, made_of
from longtail_operator.kubernetes.jobs import (
    LOST_MESSAGE_AFTER,
    config_base,
    step_objects,
    working_objects,
)
from longtail_operator.kubernetes.objects import Json, Key, section
from longtail_operator.kubernetes.outputs import Outputs, Unusable, outputs_of
from longtail_operator.kubernetes.plan import Draft, Note
from longtail_operator.kubernetes.surroundings import is_mended_by_its_pod
from longtail_operator.meta_update.config import parameters_of
from longtail_operator.scenario import schedule
from longtail_operator.scenario.world import current_manifest

STEP = "meta-train"
STARTING_DEADLINE = timedelta(hours=1)
"""A start missed by more than this is skipped."""
LONGEST_JITTER_SECONDS = 300
"""HeavyModels of one schedule start within this time, each at a moment that follows from its name."""
META_TRAINED = ConditionType.META_TRAINED


def pauses_folding(status: Json) -> bool:
    """Is a meta-training under way, by a HeavyModel's status?"""
    found = section(status, "metaTraining")
    # One that its surroundings hold up may be long in coming.
    return bool(found.get("identity")) and found.get("outcome") is None and not found.get("attempt")


def plan_meta_training(
    world: HeavyModelWorld, head: Version, status: HeavyModelStatus, conditions: Conditions, draft: Draft, now: datetime
) -> None:
    """Decide on the meta-training of a generation that stands: `status`, its condition and `draft` say what."""
    wanted = world.spec.meta_training
    if wanted is None:
        if status.meta_training is not None and status.meta_training.identity is None:
            status.meta_training = None  # there never was one
        else:
            cancel(status, conditions, Reason.CANCELLED, "spec.metaTraining was removed")
        return
    if status.meta_training is None:
        status.meta_training = MetaTrainingStatus(handled=written(now))
    known = status.meta_training
    if _is_mended(world, head, known, conditions):
        known.outcome = None
    if known.identity is not None and known.outcome is None:
        _follow(world, head, known, known.identity, conditions, draft, now)
    else:
        _await(world, head, wanted, known, conditions, draft, now)


def cancel(status: HeavyModelStatus, conditions: Conditions, reason: Reason, why: str) -> None:
    """Nothing of a meta-training is wanted: one under way ends, as its Job is no longer planned."""
    known = status.meta_training
    conditions.keep(META_TRAINED)
    if known is not None and known.identity is not None and known.outcome is None:
        known.outcome = "Cancelled"
        conditions.set(META_TRAINED, False, reason, f"the meta-training under way was ended: {why}")


def _await(
    world: HeavyModelWorld, head: Version, wanted: MetaTraining, known: MetaTrainingStatus, conditions: Conditions,
    draft: Draft, now: datetime,
) -> None:  # fmt: skip
    """None is under way: start one where the schedule asks for it."""
    delay = schedule.jitter(str(world.key), LONGEST_JITTER_SECONDS)
    try:
        decision = schedule.decide(
            wanted.schedule,
            wanted.time_zone,
            read(known.handled),
            now,
            STARTING_DEADLINE,
            delay,
            "metaTraining.schedule",
        )
    except schedule.ScheduleInvalid as error:
        conditions.set(META_TRAINED, False, Reason.INVALID_SPEC, str(error))
        return
    draft.requeue_in((decision.next - now).total_seconds())
    conditions.keep(META_TRAINED)
    before = conditions.before(META_TRAINED)
    if before is None or before.reason == Reason.WAITING:
        conditions.set(META_TRAINED, None, Reason.WAITING, f"the first one starts at {written(decision.next)}")
    if decision.start and world.folding:
        return  # its end brings the HeavyModel up again
    known.handled = written(decision.handled)
    if not decision.start:
        return
    manifests = _manifests(world)
    if not manifests:
        conditions.set(META_TRAINED, False, Reason.NO_DATA, "no Scenario has prepared data of this schema")
        return
    known.identity = identity(step=STEP, generation=head.generation, scheduled=known.handled)
    known.outcome, known.version, known.base_version = None, None, head.number
    known.attempt, known.made_of = 0, None
    draft.children.extend(_objects(world, head, known, known.identity, manifests))
    conditions.set(META_TRAINED, False, Reason.RUNNING, "meta-train starts")
    said = f"from version {head.number}, on the data of {len(manifests)} Scenarios; folding is paused"
    draft.notes.append(Note("Normal", "MetaTrainingStarted", said))


def _follow(
    world: HeavyModelWorld, head: Version, known: MetaTrainingStatus, digest: str, conditions: Conditions, draft: Draft,
    now: datetime,
) -> None:  # fmt: skip
    """One is under way: what its Job comes to."""
    name = child_name(world.key.name, STEP, digest[:8])
    before = conditions.before(META_TRAINED)
    desired = Desired(
        name,
        lambda: _working(world, head, known, name, digest),
        known.attempt,
        told=before.reason if before is not None else None,
    )
    followed = follow(desired, world, draft, now)
    state, known.attempt, known.made_of = followed.state, followed.attempt, followed.made_of or known.made_of
    if state.state == "Absent":
        # The operator ended between status and Job; or the Job's time to live did while there was no operator, and
        # run again it finds its result in the store; or it is made anew.
        objects = _working(world, head, known, name, digest)
        if objects:
            draft.children.extend(objects)
            draft.kept.add(Key("ConfigMap", world.key.namespace, name))
            conditions.set(META_TRAINED, False, state.reason or Reason.RUNNING, state.message or "meta-train starts")
        else:
            known.outcome = "Failed"
            conditions.set(META_TRAINED, False, Reason.NO_DATA, "no Scenario has prepared data of this schema")
    elif state.state == "Succeeded" and state.termination is not None:
        # Whatever it says of its result, the store may have a new version.
        draft.refresh_store = True
        draft.requeue_in(1.0)
        try:
            _record(known, state.termination, conditions)
        except Unusable as error:
            known.outcome = "Failed"
            conditions.set(META_TRAINED, False, error.trouble.reason, error.trouble.message)
    elif state.state == "Failed":
        known.outcome = "Failed"
        conditions.set(META_TRAINED, False, state.reason, f"version {head.number} stands; {state.message}")
    else:
        draft.requeue_in(LOST_MESSAGE_AFTER.total_seconds())
        conditions.set(META_TRAINED, False, state.reason, state.message)


def _is_mended(world: HeavyModelWorld, head: Version, known: MetaTrainingStatus, conditions: Conditions) -> bool:
    """It has failed: might it succeed with what its pod would be made of now?"""
    failed = conditions.before(META_TRAINED)
    if known.outcome != "Failed" or known.identity is None or known.made_of is None or failed is None:
        return False
    now = made_of(_working(world, head, known, child_name(world.key.name, STEP, known.identity[:8]), known.identity))
    return now is not None and known.made_of != now and is_mended_by_its_pod(failed.reason)


def _working(world: HeavyModelWorld, head: Version, known: MetaTrainingStatus, name: str, digest: str) -> list[Json]:
    """What carries it out; with what it is told where that is not there. Empty where there is nothing to tell."""
    if world.find("ConfigMap", name) is not None:
        return working_objects(world.workplace, name, STEP, digest)
    manifests = _manifests(world)
    return _objects(world, head, known, digest, manifests) if manifests else []


class MetaTrained(Outputs):
    """What is read of meta-train's result."""

    agnostic_version: Annotated[int, Field(ge=1)]
    base_version: Annotated[int, Field(ge=1)]
    committed: bool


def _record(known: MetaTrainingStatus, said: Termination, conditions: Conditions) -> None:
    trained = outputs_of(MetaTrained, said)
    known.outcome = "Succeeded"
    known.version, known.base_version = trained.agnostic_version, trained.base_version
    before, after = (said.metrics.get(name, {}) for name in ("baseValidation", "validation"))
    figures = ", ".join(
        f"{words} {_figure(before.get(name))} → {_figure(after.get(name))}"
        for name, words in (("loss", "validation loss"), ("adaptedLoss", "after fine-tuning"))
    )
    if trained.committed:
        message = f"version {known.version} was trained from {known.base_version}: {figures}"
        conditions.set(META_TRAINED, True, Reason.SUCCEEDED, message)
    else:
        conditions.set(META_TRAINED, True, Reason.NOT_IMPROVED, f"version {known.version} stands: {figures}")


def _figure(metric: Metric | None) -> str:
    return "unknown" if metric is None or metric.value is None else f"{metric.value:.4f}"


def _manifests(world: HeavyModelWorld) -> list[str]:
    """Current data of every Scenario that has any; suspended and failed ones count with what they have."""
    found = (current_manifest(scenario, world.view) for scenario in world.members.scenarios)
    return sorted(manifest for manifest in found if manifest is not None)


def _objects(
    world: HeavyModelWorld, head: Version, known: MetaTrainingStatus, digest: str, manifests: list[str]
) -> list[Json]:
    spec = world.spec
    # Unlike a counter, the scheduled minute is no earlier training's, even where a status was lost.
    run = int(read(known.handled).timestamp()) // 60
    config = MetaTrainConfig(
        **config_base(spec, AGNOSTIC, run, digest, seed=run),
        generation=head.generation,
        base_version=known.base_version or head.number,
        manifests=manifests,
        training=spec.training,
        parameters=parameters_of(spec.meta_update),
        scenarios_per_step=spec.meta_update.buffer_size,
        orphans_seconds=spec.retention.orphans_seconds,
    )
    return step_objects(world.workplace, child_name(world.key.name, STEP, digest[:8]), STEP, config)
