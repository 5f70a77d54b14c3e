"""What should exist for a HeavyModel: whatever its method needs to begin a generation, or to keep one up to date."""

from datetime import datetime

from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import CommittedVersion, FeedbackCounts, HeavyModelSpec, HeavyModelStatus
from longtail_api.initialization_search import InitializationOutcome, InitializationSearchStatus
from longtail_api.labels import RUN_ANNOTATION
from longtail_api.pod_template import MOUNT
from longtail_api.store_objects import Version
from longtail_operator.heavy_model.world import POOL_LIMIT, HeavyModelWorld, pool_of
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.jobs import is_finished
from longtail_operator.kubernetes.objects import annotations_of, key_of
from longtail_operator.kubernetes.plan import Draft, Plan
from longtail_operator.kubernetes.ranks import too_many
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.methods import method_of
from longtail_operator.stores.overlap import stands
from longtail_operator.stores.view import StoreView


def plan_heavy_model(world: HeavyModelWorld, now: datetime) -> Plan:
    """Decide what should exist for `world`'s HeavyModel. Raises nothing: what can't be done becomes a condition."""
    status = world.status.model_copy(deep=True)
    status.observed_generation = world.generation
    status.scenarios = world.scenario_count
    conditions = Conditions(world.status.conditions, world.generation, now)
    draft = Draft()
    store = world.store
    trouble = _store_trouble(world)
    if store is None or trouble is not None:
        trouble = trouble or Trouble(Reason.PENDING, "the store is not looked at yet")
        for condition in world.status.conditions:
            conditions.keep(ConditionType(condition.type))
        pending = trouble.reason == Reason.PENDING
        # What was known before the operator started holds until the store has been read.
        if not pending or conditions.before(ConditionType.STORE_READY) is None:
            conditions.set(ConditionType.STORE_READY, None if pending else False, trouble.reason, trouble.message)
            conditions.set(ConditionType.READY, False, trouble.reason, trouble.message)
        draft.kept.update(key_of(item) for item in world.children)
        status.conditions = conditions.ordered()
        return draft.finished(status.to_json_dict(), world.children)

    status.store_claimed = True
    conditions.set(ConditionType.STORE_READY, True, *stands(world.spec.storage, world.other_stores))
    head, method = store.head, method_of(world.spec)
    if head is not None:
        _show(status, head, store)
    else:
        status.version = None
    impossible = too_many(world.spec) or _out_of_reach(world.spec)
    if impossible is not None:
        for condition in world.status.conditions:
            if condition.type != ConditionType.STORE_READY:
                conditions.keep(ConditionType(condition.type))
        conditions.set(ConditionType.READY, False, Reason.INVALID_SPEC, impossible)
        draft.kept.update(key_of(item) for item in world.children)
    elif head is not None and head.schema_hash == world.schema_hash:
        _stand(world, status, head, conditions, draft)
        method.keep_up(world, head, status, conditions, draft, now)
    else:
        method.begin(world, head, status, conditions, draft, now)
    status.conditions = conditions.ordered()
    return draft.finished(status.to_json_dict(), world.children)


def _store_trouble(world: HeavyModelWorld) -> Trouble | None:
    """Why nothing is decided by what is in the store: it can't be used, or it has lost what was there.

    What it has lost is made anew only where a person says so, by another value of the annotation.
    """
    store, known = world.store, world.status
    if store is None or store.trouble is not None or store.head is not None or known.version is None:
        return store.trouble if store is not None else None
    if annotations_of(world.raw).get(RUN_ANNOTATION) != (known.initialization and known.initialization.annotation):
        return None
    return Trouble(
        Reason.STORE_EMPTIED,
        f"{world.spec.storage.uri} had version {known.version.number} of this model, and has none now; bring its "
        f"objects back, or have all of it made anew: kubectl annotate heavymodel {world.key.name} --namespace "
        f'{world.key.namespace} --overwrite {RUN_ANNOTATION}="$(date +%s)", and the same for its Scenarios',
    )


def _out_of_reach(spec: HeavyModelSpec) -> str | None:
    """Why the training pods can't have the store; None: they can."""
    if spec.trainer.pod_template.reaches(spec.storage.uri):
        return None
    return f"storage.uri: {spec.storage.uri} is a folder where trainer.podTemplate mounts no volume; {MOUNT}"


def _show(status: HeavyModelStatus, head: Version, store: StoreView) -> None:
    status.version = CommittedVersion(number=head.number, generation=head.generation, sha256=head.checkpoint.sha256)
    status.schema_hash = head.schema_hash
    status.feedback = FeedbackCounts(folded=head.folded_count, rejected=head.rejected_count, pending=store.pending)
    if head.flops is not None:
        status.flops = head.flops
    auc = head.metrics.get("auc")
    status.auc = None if auc is None else f"{auc:.4f}"
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
    if not status.pool:
        status.pool = pool_of(world).names[:POOL_LIMIT]
    conditions.keep(ConditionType.POOL_PREPARED)
    if conditions.before(ConditionType.POOL_PREPARED) is None:
        conditions.set(ConditionType.POOL_PREPARED, True, Reason.SUCCEEDED, "the pool is frozen")
    conditions.set(ConditionType.INITIALIZED, True, Reason.SUCCEEDED, _generation(head))
    conditions.set(ConditionType.READY, True, Reason.SUCCEEDED, said)
    draft.kept.update(key_of(item) for item in world.children if item["kind"] == "Job" and is_finished(item))


def _generation(head: Version) -> str:
    """What is to be known of the generation: which one, and whose test figures its pooled training flatters."""
    said = f"generation {head.generation}"
    if not head.shared_entities:
        return said
    return (
        f"{said}; {head.shared_entities} entities have training rows in one scenario of its pool and test rows in "
        "another, which split.method entity would rule out"
    )
