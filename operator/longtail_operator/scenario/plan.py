"""What should exist for a Scenario: its run's steps in order, and what serves."""

from datetime import datetime

from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.methods import METHODS
from longtail_api.pod_template import MOUNT
from longtail_api.scenario import RunStatus, ScenarioSpec, ScenarioStatus, StepStatus
from longtail_api.shared_specs import GPU
from longtail_api.store_objects import Termination
from longtail_operator.kubernetes.clock import written
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.jobs import JobState, is_finished
from longtail_operator.kubernetes.objects import Json, key_of, section
from longtail_operator.kubernetes.outputs import Unusable
from longtail_operator.kubernetes.plan import Draft, Plan
from longtail_operator.kubernetes.ranks import gpus
from longtail_operator.kubernetes.surroundings import is_mended_by_its_pod
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.meta_update.rules import may_start
from longtail_operator.methods import method_of
from longtail_operator.scenario.readiness import READY, goes_on, judge_readiness
from longtail_operator.scenario.run import decide_run
from longtail_operator.scenario.schedule import ScheduleInvalid
from longtail_operator.scenario.step import RunContext, Step
from longtail_operator.scenario.world import (
    STORE_RETRY_SECONDS,
    HeavyModelView,
    ScenarioWorld,
    nothing_to_attend_to,
    schema_hash,
    tables,
)
from longtail_operator.serving.rollout import plan_rollout

_STORE_READ_SECONDS = 2.0
FAILED, SUSPENDED = ConditionType.FAILED, ConditionType.SUSPENDED


def plan_scenario(world: ScenarioWorld, now: datetime) -> Plan:
    """Decide what should exist for `world`'s Scenario, given what does. Raises nothing: what can't be done becomes
    `Ready=False` with the reason, and everything that stands is left standing."""
    status = world.status.model_copy(deep=True)
    status.observed_generation = world.generation
    conditions = Conditions(world.status.conditions, world.generation, now)
    draft = Draft()
    heavy_model = world.heavy_model
    obstacle = _obstacle(world)
    if heavy_model is None or obstacle is not None:
        return _blocked(world, status, conditions, draft, obstacle or Trouble(Reason.MODEL_NOT_FOUND, ""), now)
    unclaimed = _store_obstacle(world, heavy_model)
    if unclaimed is not None:
        return _blocked(world, status, conditions, draft, unclaimed, now)
    if world.status.run is None and isinstance(world.last_run, Trouble):
        draft.requeue_in(STORE_RETRY_SECONDS)
        return _blocked(world, status, conditions, draft, world.last_run, now)
    try:
        decision = decide_run(world, heavy_model, now)
    except ScheduleInvalid as error:
        return _blocked(world, status, conditions, draft, Trouble(Reason.INVALID_SPEC, str(error)), now)

    run: RunStatus | None = world.status.run.model_copy(deep=True) if world.status.run else None
    if not world.spec.suspend:
        if decision.is_new:
            # A candidate of the run before has no run to stand on; the stable version is not touched.
            status.serving.candidate = None
        run = decision.run.model_copy(deep=True)
        status.schedule = decision.schedule
        if decision.next_start is not None:
            draft.requeue_in((decision.next_start - now).total_seconds())
    status.run = run
    if run is not None:
        _advance_run(RunContext(world, heavy_model, run, now), status, conditions, draft)
    rollout = plan_rollout(world, heavy_model, run, status, conditions, draft, now)
    conditions.set(
        SUSPENDED,
        world.spec.suspend,
        Reason.SUSPENDED if world.spec.suspend else Reason.RESUMED,
        "no new work starts; what serves goes on serving" if world.spec.suspend else "",
    )
    judge_readiness(world, rollout, status, conditions, now)
    status.conditions = conditions.ordered()
    return draft.finished(status.to_json_dict(), world.children)


def _obstacle(world: ScenarioWorld) -> Trouble | None:
    """Why nothing can be decided for this Scenario at all."""
    reference = world.spec.heavy_model_ref
    namespace = reference.namespace or world.key.namespace
    heavy_model = world.heavy_model
    if heavy_model is None:
        return Trouble(
            Reason.MODEL_NOT_FOUND,
            f"there is no HeavyModel {reference.name} in namespace {namespace}; create it, or name another",
        )
    if namespace != world.key.namespace and world.key.namespace not in heavy_model.spec.allowed_namespaces:
        return Trouble(
            Reason.NAMESPACE_NOT_ALLOWED,
            f"HeavyModel {namespace}/{reference.name} does not allow Scenarios of namespace {world.key.namespace}; "
            "add it to its spec.allowedNamespaces",
        )
    resources = world.spec.trainer.resources
    shared = METHODS[heavy_model.spec.method].distributed
    if (
        resources is not None
        and gpus(resources) > 1
        and not any(step.name in shared for step in method_of(heavy_model.spec).every_step)
    ):
        return Trouble(
            Reason.INVALID_SPEC,
            f"trainer.resources: no step of a Scenario trains on several GPUs; set {GPU} to 1",
        )
    own = tables(world.spec, heavy_model.spec)
    if own["samples"] is None:
        return Trouble(
            Reason.INVALID_SPEC,
            "data.samples: neither this Scenario nor its HeavyModel says where the samples table is; give its address",
        )
    missing = [
        sequence.name for sequence in heavy_model.spec.data_schema.behaviors if sequence.name not in own["behaviors"]
    ]
    if missing:
        return Trouble(
            Reason.INVALID_SPEC,
            f"data.behaviors: no address for the behavior table {missing[0]!r} of the schema; give it here or in the "
            "HeavyModel",
        )
    folder = _out_of_reach(world.spec, heavy_model.spec)
    if folder is not None:
        return Trouble(Reason.INVALID_SPEC, folder)
    return nothing_to_attend_to("light.searchSpace.targetAttention", world.spec.light.search_space, heavy_model)


def _out_of_reach(spec: ScenarioSpec, heavy_model: HeavyModelSpec) -> str | None:
    """Which folder its pods can't have, and why; None: they have all they need."""
    own, store = tables(spec, heavy_model), heavy_model.storage.uri
    training = heavy_model.trainer.pod_template.under(spec.trainer.pod_template)
    for uri in (store, own["samples"], own["profile"], *own["behaviors"].values()):
        if uri is not None and not training.reaches(uri):
            return f"{uri} is a folder where trainer.podTemplate, with the HeavyModel's, mounts no volume; {MOUNT}"
    if spec.serving is not None and not spec.serving.pod_template.reaches(store):
        return f"{store}, the HeavyModel's store, is a folder where serving.podTemplate mounts no volume; {MOUNT}"
    return None


def _store_obstacle(world: ScenarioWorld, heavy_model: HeavyModelView) -> Trouble | None:
    """Nothing is written into a store before it is known to be the HeavyModel's own."""
    known = next((one for one in heavy_model.status.conditions if one.type == ConditionType.STORE_READY), None)
    if known is not None and (known.status == "True" or (world.status.run and known.reason != Reason.STORE_TAKEN)):
        return None
    name = heavy_model.key.name
    if known is not None and known.reason == Reason.STORE_TAKEN:
        return Trouble(Reason.STORE_TAKEN, f"HeavyModel {name}: {known.message}")
    return Trouble(
        Reason.WAITING, f"waiting for the store of HeavyModel {name}" + (f": {known.message}" if known else "")
    )


def _blocked(
    world: ScenarioWorld, status: ScenarioStatus, conditions: Conditions, draft: Draft, trouble: Trouble,
    now: datetime,
) -> Plan:  # fmt: skip
    for condition in world.status.conditions:
        conditions.keep(ConditionType(condition.type))
    conditions.set(READY, False, trouble.reason, trouble.message + goes_on(world, now))
    status.conditions = conditions.ordered()
    draft.kept.update(key_of(item) for item in world.children)
    return draft.finished(status.to_json_dict(), world.children)


def _advance_run(context: RunContext, status: ScenarioStatus, conditions: Conditions, draft: Draft) -> None:
    """Walk through the steps; the first one that is not done decides what is to do."""
    run = context.run
    method = method_of(context.heavy_model.spec)
    for step in method.every_step:
        draft.kept.update(step.keeps(context))
    if _is_mended(context):
        run.outcome, run.finished = None, None
    if run.outcome is not None:
        # Over: nothing else that is learned later about the world reopens it; a new run has to start.
        for type_ in (*(step.condition for step in method.every_step), FAILED):
            conditions.keep(type_)
        return
    for step in method.steps_of(context):
        recorded = context.recorded(step.name)
        if (recorded is not None and recorded.result is not None) or _given(context, step):
            conditions.set(step.condition, True, Reason.SUCCEEDED, _done(run, step))
            continue
        if not _enter(context, step, recorded, status, conditions, draft):
            return
    run.step, run.outcome, run.finished = None, "Succeeded", written(context.now)
    conditions.set(FAILED, False, Reason.SUCCEEDED)


def _is_mended(context: RunContext) -> bool:
    """Has the run failed in a step that might succeed with what its pod would be made of now?"""
    run, world = context.run, context.world
    failed = next((one for one in world.status.conditions if one.type == FAILED and one.status == "True"), None)
    if run.outcome != "Failed" or world.spec.suspend or failed is None or not is_mended_by_its_pod(failed.reason):
        return False
    known = next((one for one in run.steps if one.name == run.step), None)
    step = next((one for one in method_of(context.heavy_model.spec).every_step if one.name == run.step), None)
    return known is not None and step is not None and step.is_mended(context, known)


def _given(context: RunContext, step: Step) -> bool:
    """Was this step's result there when the run started? True of `prepare` where data has a schedule of its own."""
    return (
        step.condition == ConditionType.DATA_PREPARED
        and context.run.data_version is not None
        and all(known.name != step.name for known in context.run.steps)
    )


def _enter(
    context: RunContext, step: Step, recorded: StepStatus | None, status: ScenarioStatus, conditions: Conditions,
    draft: Draft,
) -> bool:  # fmt: skip
    """Carry on with `step`. True where it turns out to be done."""
    run = context.run
    conditions.set(FAILED, False, Reason.RUNNING)
    if step.needs_version and run.base_version is None:
        waits = _pin(context)
        if waits is not None:
            run.step = None
            conditions.set(step.condition, False, waits.reason, waits.message)
            if waits.reason == Reason.WAITING:
                draft.requeue_in(_STORE_READ_SECONDS)
            return False
    digest = context.identity_of(step)
    followed = step.follow(context, digest, recorded, draft)
    state = followed.state
    if state.state == "Succeeded" and state.termination is not None:
        try:
            _record(context, step, digest, state.termination, status, conditions)
        except Unusable as error:
            _fail(context, step, error.trouble, conditions)
            return False
        return True
    if recorded is not None:
        recorded.attempt, recorded.made_of = followed.attempt, followed.made_of or recorded.made_of
    if state.state == "Failed":
        _fail(context, step, Trouble(state.reason, state.message), conditions)
        return False
    _carry_on(context, step, digest, recorded, state, conditions, draft)
    return False


def _carry_on(
    context: RunContext, step: Step, digest: str, recorded: StepStatus | None, state: JobState,
    conditions: Conditions, draft: Draft,
) -> None:  # fmt: skip
    run, world = context.run, context.world
    objects = step.objects(context, digest)
    turned_away = bool(objects) and not world.admitted and not world.spec.suspend
    if state.state == "Absent":
        if world.spec.suspend:
            conditions.set(step.condition, False, Reason.SUSPENDED, "suspended before this step started")
            return
        if turned_away:
            run.step = None
            conditions.set(step.condition, False, Reason.WAITING_FOR_PLACE, _no_place(world, context.heavy_model))
            return
        draft.children.extend(objects)
    if state.state == "Held":
        run.step = None  # what waits for its surroundings needs no place among maxConcurrentRuns
    elif state.state == "Absent" or state.is_under_way:
        # Nor does what others do for it.
        run.step = step.name if objects else None
    if recorded is None and state.state != "Held":
        run.steps.append(StepStatus(name=step.name, identity=digest))
    if turned_away and any(_stands_still(world.find(item["kind"], key_of(item).name)) for item in objects):
        # It was suspended, and gave its place away.
        conditions.set(step.condition, False, Reason.WAITING_FOR_PLACE, _no_place(world, context.heavy_model))
        return
    conditions.set(step.condition, False, state.reason or Reason.PENDING, state.message or f"{step.name} starts")


def _fail(context: RunContext, step: Step, why: Trouble, conditions: Conditions) -> None:
    """The run is over without success."""
    run = context.run
    run.step, run.outcome, run.finished = step.name, "Failed", written(context.now)
    conditions.set(step.condition, False, why.reason, why.message)
    conditions.set(FAILED, True, why.reason, f"{step.name}: {why.message}")


def _stands_still(found: Json | None) -> bool:
    return found is not None and not is_finished(found) and bool(section(found, "spec").get("suspend"))


def _no_place(world: ScenarioWorld, heavy_model: HeavyModelView) -> str:
    limit = heavy_model.spec.trainer.max_concurrent_runs
    return f"waiting for a place: trainer.maxConcurrentRuns of HeavyModel {heavy_model.key.name} is {limit}" + (
        f"; {world.holders}" if world.holders else ""
    )


def _record(
    context: RunContext, step: Step, digest: str, said: Termination, status: ScenarioStatus, conditions: Conditions
) -> None:
    """Raises `Unusable` where the result is not what the step needs."""
    run = context.run
    others = [known for known in run.steps if known.name != step.name]
    before = run.steps
    run.steps = [*others, StepStatus(name=step.name, identity=digest, result=said.result_sha256)]
    try:
        step.record(context, digest, status, said)
    except Unusable:
        run.steps = before
        raise
    conditions.set(step.condition, True, Reason.SUCCEEDED, _done(run, step))


def _done(run: RunStatus, step: Step) -> str:
    note = next((known.note for known in run.steps if known.name == step.name), None)
    return f"run {run.number}" + (f": {note}" if note else "")


def _pin(context: RunContext) -> Trouble | None:
    """Pin the newest version as the run's base, once; else say what the run waits for."""
    heavy_model: HeavyModelView = context.heavy_model
    version = heavy_model.status.version
    name = heavy_model.key.name
    if version is None or heavy_model.status.schema_hash != schema_hash(heavy_model.spec):
        return Trouble(Reason.MODEL_NOT_READY, f"waiting for HeavyModel {name} to be initialized")
    if heavy_model.pool is None:
        return Trouble(Reason.WAITING, f"waiting until the versions of HeavyModel {name} are read from its store")
    if not may_start(mode=heavy_model.spec.meta_update.mode, pending=heavy_model.status.feedback.pending):
        return Trouble(Reason.WAITING, f"waiting for the version of HeavyModel {name} that ends the round of feedback")
    context.run.base_version = version.number
    return None
