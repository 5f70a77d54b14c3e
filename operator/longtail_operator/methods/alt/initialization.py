"""The Job that makes the first version of a generation (ALT III-B), from a frozen pool."""

from datetime import datetime

from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import HeavyModelStatus, InitializationStatus
from longtail_api.labels import RUN_ANNOTATION
from longtail_api.methods.alt import InitializeConfig
from longtail_api.store_layout import AGNOSTIC
from longtail_api.store_objects import Version
from longtail_operator.heavy_model.world import POOL_LIMIT, HeavyModelWorld, pool_of
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.identity import child_name, identity
from longtail_operator.kubernetes.jobs import (
    LOST_MESSAGE_AFTER,
    STEP_KINDS,
    JobState,
    config_base,
    is_finished,
    step_objects,
)
from longtail_operator.kubernetes.objects import Json, Key, annotations_of
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.pictures import links, replaced

STEP = "initialize"


def plan_initialization(
    world: HeavyModelWorld, head: Version | None, status: HeavyModelStatus, conditions: Conditions, draft: Draft,
    now: datetime,
) -> None:  # fmt: skip
    """Decide on the first version of the next generation: one Job, from a pool that is frozen in its ConfigMap."""
    generation = head.generation + 1 if head else 1
    waits = Reason.NEW_GENERATION if head else Reason.PENDING
    known = status.initialization
    if known is not None and known.generation == generation and not known.failed:
        name = child_name(world.key.name, STEP, known.identity[:8])
        found = world.find("Job", name)
        if found is not None and (is_finished(found) or world.find("ConfigMap", name) is not None):
            state = world.job_state(name, now)
            _follow(world, status, known, name, state, conditions, draft)
            return
        if known.result is not None:
            draft.refresh_store = True
            _wait(conditions, waits, "its first version is read from the store", pooled=True)
            draft.requeue_in(5.0)
            return
    pool = pool_of(world)
    least = world.spec.initialization.min_scenarios
    progress = (
        f"{len(pool.manifests)} of {pool.selected} scenarios of the pool are prepared, at least {least} are needed"
    )
    if pool.failed:
        progress += f"; without {pool.failed[0]}" + (
            f" and {len(pool.failed) - 1} more" if len(pool.failed) > 1 else ""
        )
        progress += ", whose data could not be prepared"
    if pool.waiting or len(pool.manifests) < least:
        conditions.set(ConditionType.POOL_PREPARED, False, Reason.WAITING, progress)
        conditions.set(ConditionType.INITIALIZED, False, waits, "waiting for the pool")
        conditions.set(ConditionType.READY, False, waits, progress)
        return
    search = world.spec.initialization.search
    digest = identity(
        step=STEP,
        generation=generation,
        schema=world.schema_hash,
        pool=pool.manifests,
        training=world.spec.training.to_json_dict(),
        **({"search": search.to_json_dict()} if search is not None else {}),
        again=annotations_of(world.raw).get(RUN_ANNOTATION),
    )
    if known is not None and known.failed and known.identity == digest:
        for type_ in (ConditionType.POOL_PREPARED, ConditionType.INITIALIZED, ConditionType.READY):
            conditions.keep(type_)
        return
    status.initialization = InitializationStatus(generation=generation, identity=digest)
    status.pool = pool.names[:POOL_LIMIT]
    draft.children.extend(_objects(world, generation, digest, pool.manifests))
    conditions.set(ConditionType.POOL_PREPARED, True, Reason.SUCCEEDED, progress)
    refused = world.refused(child_name(world.key.name, STEP, digest[:8]))
    starts = refused or Trouble(Reason.RUNNING, "initialize starts")
    conditions.set(ConditionType.INITIALIZED, False, starts.reason, starts.message)
    conditions.set(ConditionType.READY, False, starts.reason, starts.message)


def _follow(
    world: HeavyModelWorld, status: HeavyModelStatus, known: InitializationStatus, name: str, state: JobState,
    conditions: Conditions, draft: Draft,
) -> None:  # fmt: skip
    """The initialization's Job exists: what it comes to. Its pool stays frozen in its ConfigMap."""
    keys = {Key(kind, world.key.namespace, name) for kind in STEP_KINDS}
    draft.kept.update(keys)
    conditions.keep(ConditionType.POOL_PREPARED)
    if state.state == "Succeeded" and state.termination is not None:
        status.initialization = known.model_copy(update={"result": state.termination.result_sha256})
        drawn = links(STEP, state.termination.pictures, world.spec.storage.uri)
        status.pictures = replaced(status.pictures, STEP, drawn)
        draft.refresh_store = True
        draft.requeue_in(5.0)
        _wait(conditions, Reason.RUNNING, "its first version is read from the store", pooled=True)
    elif state.state == "Failed":
        status.initialization = known.model_copy(update={"failed": True})
        conditions.set(ConditionType.INITIALIZED, False, state.reason, state.message)
        conditions.set(ConditionType.READY, False, state.reason, f"initialize: {state.message}")
    else:
        if state.state == "Lost":
            draft.deletions.append(Key("Job", world.key.namespace, name))
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
