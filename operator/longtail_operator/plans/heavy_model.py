"""What should exist for a HeavyModel: the Job that makes the first version of each generation, from a frozen pool, and
those of periodic meta-training."""

from datetime import datetime

from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import (
    CommittedVersion,
    FeedbackCounts,
    HeavyModelStatus,
    InitializationStatus,
)
from longtail_api.initialization_search import InitializationOutcome, InitializationSearchStatus
from longtail_api.labels import RUN_ANNOTATION
from longtail_api.methods.alt import InitializeConfig
from longtail_api.store_objects import Version
from longtail_operator.identity import child_name, identity
from longtail_operator.jobs import LOST_MESSAGE_AFTER, JobState, config_base, is_finished, judge, step_objects
from longtail_operator.objects import Json, Key, annotations_of, key_of
from longtail_operator.pictures import links, replaced
from longtail_operator.plan import Draft, Plan
from longtail_operator.plans.heavy_model_world import HeavyModelWorld, StoreView, pool_of
from longtail_operator.plans.meta_training import cancel, plan_meta_training
from longtail_operator.pods import Trouble
from longtail_operator.status import Conditions

STEP = "initialize"
OWNER = "agnostic"
POOL_LIMIT = 64
"""How many names of the pool the status shows."""


def plan_heavy_model(world: HeavyModelWorld, now: datetime) -> Plan:
    """Decide what should exist for `world`'s HeavyModel. Raises nothing: what can't be done becomes a condition."""
    status = world.status.model_copy(deep=True)
    status.observed_generation = world.generation
    status.scenarios = len(world.scenarios)
    conditions = Conditions(world.status.conditions, world.generation, now)
    draft = Draft()
    store = world.store
    if store is None or store.trouble is not None:
        trouble = (store.trouble if store else None) or Trouble(Reason.PENDING, "the store is not looked at yet")
        for condition in world.status.conditions:
            conditions.keep(ConditionType(condition.type))
        conditions.set(ConditionType.STORE_READY, None if store is None else False, trouble.reason, trouble.message)
        conditions.set(ConditionType.READY, False, trouble.reason, trouble.message)
        draft.kept.update(key_of(item) for item in world.children)
        status.conditions = conditions.ordered()
        return draft.finished(status.to_json_dict(), world.children)

    conditions.set(ConditionType.STORE_READY, True, Reason.SUCCEEDED, "one of several racing writers wins")
    head = store.head
    if head is not None:
        _show(status, head, store)
    if head is not None and head.schema_hash == world.schema_hash:
        _stand(world, status, head, conditions, draft)
        plan_meta_training(world, head, status, conditions, draft, now)
    else:
        cancel(status, conditions, Reason.NEW_GENERATION, "the next generation begins")
        _initialize(world, status, head, conditions, draft, now)
    status.conditions = conditions.ordered()
    return draft.finished(status.to_json_dict(), world.children)


def _show(status: HeavyModelStatus, head: Version, store: StoreView) -> None:
    status.version = CommittedVersion(number=head.number, generation=head.generation, sha256=head.checkpoint.sha256)
    status.schema_hash = head.schema_hash
    status.feedback = FeedbackCounts(folded=head.folded_count, rejected=head.rejected_count, pending=store.pending)
    if head.flops is not None:
        status.flops = head.flops
    auc = head.metrics.get("auc")
    if auc is not None:
        status.auc = f"{auc:.4f}"
    status.search = _search_status(head.initialization)


def _search_status(outcome: InitializationOutcome | None) -> InitializationSearchStatus | None:
    """Both figures, and which one won; every version of the generation carries them on."""
    if outcome is None:
        return None
    figures = {one.way: f"{one.value:.4f}" for one in outcome.ways if one.value is not None}
    return InitializationSearchStatus(
        won=outcome.won,
        metric=outcome.metric,
        hyperparameters=figures.get("Hyperparameters"),
        architecture=figures.get("Architecture"),
    )


def _stand(
    world: HeavyModelWorld, status: HeavyModelStatus, head: Version, conditions: Conditions, draft: Draft
) -> None:
    """This generation has a version: nothing is to be done but to keep it up to date, which folding does."""
    said = f"version {head.number}, generation {head.generation}"
    pool = pool_of(world)
    if not status.pool:
        status.pool = [name for name, _ in zip(pool.names, range(POOL_LIMIT), strict=False)]
    conditions.keep(ConditionType.POOL_PREPARED)
    if conditions.before(ConditionType.POOL_PREPARED) is None:
        conditions.set(ConditionType.POOL_PREPARED, True, Reason.SUCCEEDED, "the pool is frozen")
    conditions.set(ConditionType.INITIALIZED, True, Reason.SUCCEEDED, f"generation {head.generation}")
    conditions.set(ConditionType.READY, True, Reason.SUCCEEDED, said)
    draft.kept.update(key_of(item) for item in world.children if item["kind"] == "Job" and is_finished(item))


def _initialize(
    world: HeavyModelWorld, status: HeavyModelStatus, head: Version | None, conditions: Conditions, draft: Draft,
    now: datetime,
) -> None:  # fmt: skip
    generation = head.generation + 1 if head else 1
    waits = Reason.NEW_GENERATION if head else Reason.PENDING
    known = status.initialization
    if known is not None and known.generation == generation and not known.failed:
        name = child_name(world.key.name, STEP, known.identity[:8])
        found = world.find("Job", name)
        if found is not None and (is_finished(found) or world.find("ConfigMap", name) is not None):
            state = judge(found, world.pods, now)
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
    conditions.set(ConditionType.INITIALIZED, False, Reason.RUNNING, "initialize starts")
    conditions.set(ConditionType.READY, False, Reason.RUNNING, "initialize starts")


def _follow(
    world: HeavyModelWorld, status: HeavyModelStatus, known: InitializationStatus, name: str, state: JobState,
    conditions: Conditions, draft: Draft,
) -> None:  # fmt: skip
    """The initialization's Job exists: what it comes to. Its pool stays frozen in its ConfigMap."""
    keys = {Key(kind, world.key.namespace, name) for kind in ("Job", "ConfigMap")}
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
        **config_base(spec, OWNER, generation, digest),
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
