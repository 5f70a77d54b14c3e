"""The Job that makes the first version of a generation (ALT III-B), from a frozen pool."""

from datetime import datetime, timedelta

from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import HeavyModelStatus, InitializationStatus
from longtail_api.labels import RUN_ANNOTATION
from longtail_api.methods.alt import InitializeConfig
from longtail_api.store_layout import AGNOSTIC
from longtail_api.store_objects import Version
from longtail_operator.heavy_model.world import POOL_LIMIT, Absentee, HeavyModelWorld, Pool, pool_of
from longtail_operator.kubernetes.clock import read, written
from longtail_operator.kubernetes.conditions import Conditions, enumerated
from longtail_operator.kubernetes.identity import child_name, identity
from longtail_operator.kubernetes.job_follower import Desired, follow, made_of
from longtail_operator.kubernetes.jobs import (
    LOST_MESSAGE_AFTER,
    STEP_KINDS,
    config_base,
    is_finished,
    step_objects,
    working_objects,
)
from longtail_operator.kubernetes.objects import Json, Key, annotations_of
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.kubernetes.surroundings import is_mended_by_its_pod
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.pictures import links, replaced

STEP = "initialize"
_NAMED = 3
"""So many of those who are missing are named."""
_NOT_IN_THE_STORE = (
    f"its first version is read from the store; where it is not found for long, the store has lost it: give the "
    f"HeavyModel another value of the annotation {RUN_ANNOTATION}, and it is made again"
)


def plan_initialization(
    world: HeavyModelWorld, head: Version | None, status: HeavyModelStatus, conditions: Conditions, draft: Draft,
    now: datetime,
) -> None:  # fmt: skip
    """Decide on the first version of the next generation: one Job, from a pool that is frozen in its ConfigMap."""
    generation = head.generation + 1 if head else 1
    waits = Reason.NEW_GENERATION if head else Reason.PENDING
    known = status.initialization
    if known is not None and known.failed and _is_mended(world, known, conditions):
        # Followed again: the Job that failed has to go before one of the same name is made.
        known = known.model_copy(update={"failed": False})
    if known is not None and known.generation == generation and not known.failed:
        name = child_name(world.key.name, STEP, known.identity[:8])
        found = world.find("Job", name)
        if (found is not None and is_finished(found)) or world.find("ConfigMap", name) is not None:
            _follow(world, status, known, name, conditions, draft, now)
            return
        if known.result is not None and known.annotation == annotations_of(world.raw).get(RUN_ANNOTATION):
            draft.refresh_store = True
            _wait(conditions, waits, _NOT_IN_THE_STORE, pooled=True)
            draft.requeue_in(5.0)
            return
    pool = pool_of(world)
    progress = _progress(world, pool)
    until = _waited_for_until(world, pool, status, now)
    if until is not None:
        draft.requeue_in((until - now).total_seconds())
        progress += f", until {written(until)} at the latest"
    progress += _without(pool)
    if until is not None or len(pool.manifests) < world.spec.initialization.min_scenarios:
        idle = until is None and not any(one.coming for one in pool.absent)
        reason = Reason.POOL_TOO_SMALL if idle else Reason.WAITING
        conditions.set(ConditionType.POOL_PREPARED, False, reason, progress)
        conditions.set(ConditionType.INITIALIZED, False, waits, "waiting for the pool")
        conditions.set(ConditionType.READY, False, reason if idle else waits, progress)
        return
    search = world.spec.initialization.search
    again = annotations_of(world.raw).get(RUN_ANNOTATION)
    digest = identity(
        step=STEP,
        generation=generation,
        schema=world.schema_hash,
        pool=pool.manifests,
        training=world.spec.training.to_json_dict(),
        **({"search": search.to_json_dict()} if search is not None else {}),
        again=again,
    )
    if known is not None and known.failed and known.identity == digest:
        for type_ in (ConditionType.POOL_PREPARED, ConditionType.INITIALIZED, ConditionType.READY):
            conditions.keep(type_)
        return
    status.initialization = InitializationStatus(generation=generation, identity=digest, annotation=again)
    status.pool_since = None
    status.pool = pool.names[:POOL_LIMIT]
    draft.children.extend(_objects(world, generation, digest, pool.manifests))
    conditions.set(ConditionType.POOL_PREPARED, True, Reason.SUCCEEDED, progress)
    refused = world.refused(child_name(world.key.name, STEP, digest[:8]))
    starts = refused or Trouble(Reason.RUNNING, "initialize starts")
    conditions.set(ConditionType.INITIALIZED, False, starts.reason, starts.message)
    conditions.set(ConditionType.READY, False, starts.reason, starts.message)


def _waited_for_until(world: HeavyModelWorld, pool: Pool, status: HeavyModelStatus, now: datetime) -> datetime | None:
    """Until when others are waited for although enough of the pool is prepared; None: nobody is, or there is not
    enough. What decides is since when there is enough: a pool that ever new Scenarios join is begun with all the same.
    """
    if len(pool.manifests) < world.spec.initialization.min_scenarios:
        status.pool_since = None
        return None
    status.pool_since = status.pool_since or written(now)
    until = read(status.pool_since) + timedelta(seconds=world.spec.initialization.wait_seconds)
    return until if now < until and any(one.coming for one in pool.absent) else None


def _progress(world: HeavyModelWorld, pool: Pool) -> str:
    """How much of the pool is prepared, what is needed, and who is at work."""
    least = world.spec.initialization.min_scenarios
    said = f"{len(pool.manifests)} of {pool.selected} scenarios of the pool are prepared"
    coming = [one for one in pool.absent if one.coming]
    if len(pool.manifests) < least:
        said += f", at least {least} are needed"
        if not coming:
            said += (
                "; mend what is named here, label more Scenarios as initialization.scenarioSelector asks, or lower "
                "initialization.minScenarios"
            )
    return said + (f"; waiting for {_names(coming)}" if coming else "")


def _without(pool: Pool) -> str:
    missing = [one for one in pool.absent if not one.coming]
    return f"; without {_names(missing)}" if missing else ""


def _names(absent: list[Absentee]) -> str:
    return enumerated([f"{one.name} ({one.why})" for one in absent], _NAMED)


def _is_mended(world: HeavyModelWorld, known: InitializationStatus, conditions: Conditions) -> bool:
    """It has failed: might it succeed with what its pod would be made of now?"""
    failed = conditions.before(ConditionType.INITIALIZED)
    now = made_of(_work(world, known))
    return (
        known.made_of is not None
        and known.made_of != now
        and failed is not None
        and is_mended_by_its_pod(failed.reason)
    )


def _work(world: HeavyModelWorld, known: InitializationStatus) -> list[Json]:
    name = child_name(world.key.name, STEP, known.identity[:8])
    return working_objects(world.workplace, name, STEP, known.identity)


def _follow(
    world: HeavyModelWorld, status: HeavyModelStatus, known: InitializationStatus, name: str, conditions: Conditions,
    draft: Draft, now: datetime,
) -> None:  # fmt: skip
    """The initialization has begun: what its Job comes to. Its pool stays frozen in its ConfigMap."""
    told = conditions.before(ConditionType.INITIALIZED)
    desired = Desired(name, lambda: _work(world, known), known.attempt, told=told.reason if told is not None else None)
    followed = follow(desired, world, draft, now)
    state = followed.state
    keys = {Key(kind, world.key.namespace, name) for kind in STEP_KINDS}
    draft.kept.update(keys)
    known = known.model_copy(update={"attempt": followed.attempt, "made_of": followed.made_of or known.made_of})
    status.initialization = known
    conditions.keep(ConditionType.POOL_PREPARED)
    if state.state == "Succeeded" and state.termination is not None:
        status.initialization = known.model_copy(update={"result": state.termination.result_sha256})
        drawn = links(STEP, state.termination.pictures, world.spec.storage.uri)
        status.pictures = replaced(status.pictures, STEP, drawn)
        draft.refresh_store = True
        draft.requeue_in(5.0)
        _wait(conditions, Reason.RUNNING, _NOT_IN_THE_STORE, pooled=True)
    elif state.state == "Failed":
        status.initialization = known.model_copy(update={"failed": True})
        conditions.set(ConditionType.INITIALIZED, False, state.reason, state.message)
        conditions.set(ConditionType.READY, False, state.reason, f"initialize: {state.message}")
    elif state.state == "Absent":
        draft.children.extend(_work(world, known))
        _wait(conditions, state.reason or Reason.RUNNING, state.message or "it starts", pooled=True)
    else:
        draft.requeue_in(LOST_MESSAGE_AFTER.total_seconds())
        _wait(conditions, state.reason, state.message, pooled=True)


def _wait(conditions: Conditions, reason: str, message: str, pooled: bool) -> None:
    if pooled:
        conditions.keep(ConditionType.POOL_PREPARED)
    conditions.set(ConditionType.INITIALIZED, False, reason, message)
    conditions.set(ConditionType.READY, False, reason, f"initialize: {message}")


def _objects(world: HeavyModelWorld, generation: int, digest: str, manifests: list[str]) -> list[Json]:
    spec = world.spec
    config = InitializeConfig(
        **config_base(spec, AGNOSTIC, generation, digest),
        data_schema=spec.data_schema,
        schema_hash=world.schema_hash,
        encoder=spec.encoder,
        architecture=spec.architecture,
        training=spec.training,
        search=spec.initialization.search,
        generation=generation,
        pool=manifests,
        orphans_seconds=spec.retention.orphans_seconds,
    )
    return step_objects(world.workplace, child_name(world.key.name, STEP, digest[:8]), STEP, config)
