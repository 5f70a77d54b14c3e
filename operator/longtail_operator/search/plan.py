"""What should exist for a LightModelSearch: one Job, until there is a result."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from longtail_api.conditions import ConditionType, Reason
from longtail_api.labels import IDENTITY_ANNOTATION, ROLE_LABEL, RUN_LABEL
from longtail_api.light_model_search import BestTrial, LightModelSearchStatus, TrialCounts
from longtail_api.methods import METHODS
from longtail_api.store_layout import manifest_key, progress_key, result_key, step_prefix
from longtail_api.store_objects import Metric, Termination
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.identity import child_name, identity
from longtail_operator.kubernetes.job_follower import Desired, follow, made_of
from longtail_operator.kubernetes.jobs import LOST_MESSAGE_AFTER, JobState, Workplace, step_objects, working_objects
from longtail_operator.kubernetes.objects import Json, annotations_of, key_of, labels_of, uid_of
from longtail_operator.kubernetes.outputs import Outputs, Unusable, outputs_of
from longtail_operator.kubernetes.plan import Draft, Plan
from longtail_operator.kubernetes.surroundings import is_mended_by_its_pod
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.methods import method_of
from longtail_operator.pictures import links
from longtail_operator.scenario.figures import figure
from longtail_operator.scenario.world import nothing_to_attend_to, secret_name
from longtail_operator.search.world import Inputs, ModelSearch, SearchWorld, place_of
from longtail_operator.stores.run_numbers import data_version

PROGRESS_SECONDS = 15.0
"""How often the progress of a running search is read."""


def running_progress_key(world: SearchWorld) -> str | None:
    """Where the running search says how far it is."""
    run = labels_of(world.raw).get(RUN_LABEL, "1")
    search = search_of(world)
    if search is None or not run.isdecimal():
        return None
    return progress_key(step_prefix(*place_of(world, int(run)), search.step))


def search_of(world: SearchWorld) -> ModelSearch | None:
    """How the method of the target's HeavyModel searches; None where there is no target, or it doesn't."""
    if world.target is None or world.target.heavy_model is None:
        return None
    return method_of(world.target.heavy_model.spec).search


def plan_search(world: SearchWorld, now: datetime) -> Plan:
    """Decide what should exist for `world`'s search. Raises nothing."""
    status = world.status.model_copy(deep=True)
    status.observed_generation = world.generation
    conditions = Conditions(world.status.conditions, world.generation, now)
    draft = Draft()
    over = [conditions.before(type_) for type_ in (ConditionType.COMPLETE, ConditionType.FAILED)]
    failed = over[1] is not None and over[1].status == "True" and _is_mended(world, over[1].reason)
    if any(one is not None and one.status == "True" for one in over) and not failed:
        for condition in world.status.conditions:
            conditions.keep(ConditionType(condition.type))
    else:
        _suspended(world, conditions)
        _advance(world, status, conditions, draft, now)
    status.conditions = conditions.ordered()
    return draft.finished(status.to_json_dict(), world.children)


def _suspended(world: SearchWorld, conditions: Conditions) -> None:
    reason = Reason.SUSPENDED if world.spec.suspend else Reason.RESUMED
    conditions.set(ConditionType.SUSPENDED, world.spec.suspend, reason)


def _advance(
    world: SearchWorld, status: LightModelSearchStatus, conditions: Conditions, draft: Draft, now: datetime
) -> None:
    jobs = [item for item in world.children if item["kind"] == "Job"]
    inputs = _inputs(world)
    if isinstance(inputs, Trouble):
        # What a Job came to stands, whatever has become of what it was started from.
        if jobs and _is_over(world, status, jobs[0], world.job_state(jobs[0]["metadata"]["name"], now), conditions):
            return
        # The Job that is there was started with what it needs, and goes on.
        draft.kept.update(key_of(item) for item in world.children)
        conditions.set(ConditionType.READY, False, inputs.reason, inputs.message)
        if jobs:
            draft.requeue_in(LOST_MESSAGE_AFTER.total_seconds())
        return
    digest = annotations_of(jobs[0]).get(IDENTITY_ANNOTATION, "") if jobs else _identity(world, inputs)
    name = child_name(world.key.name, inputs.search.step, digest[:8])
    before = conditions.before(ConditionType.READY)
    desired = Desired(
        name=jobs[0]["metadata"]["name"] if jobs else name,
        objects=lambda: _objects(world, inputs, digest, name),
        attempt=status.attempt,
        store=inputs.heavy_model.store_trouble,
        told=before.reason if before is not None and jobs else None,
    )
    followed = follow(desired, world, draft, now)
    state, status.attempt, status.made_of = followed.state, followed.attempt, followed.made_of or status.made_of
    if jobs and _is_over(world, status, jobs[0], state, conditions):
        return
    if state.state == "Absent" and world.spec.suspend:
        conditions.set(ConditionType.READY, False, Reason.SUSPENDED, "suspended before it started")
        return
    if state.state == "Absent":
        draft.children.extend(_objects(world, inputs, digest, name))
    draft.requeue_in(PROGRESS_SECONDS if state.state == "Running" else LOST_MESSAGE_AFTER.total_seconds())
    planned = _planned(world, status)
    done = int(planned * world.progress) if world.progress is not None else status.trials.completed
    status.trials = TrialCounts(planned=planned, completed=done)
    suspended = world.spec.suspend
    conditions.set(
        ConditionType.READY,
        False,
        Reason.SUSPENDED if suspended else state.reason or Reason.PENDING,
        "suspended; it resumes from its last checkpoint" if suspended else state.message or "the search starts",
    )


def _is_over(
    world: SearchWorld, status: LightModelSearchStatus, job: Json, state: JobState, conditions: Conditions
) -> bool:
    if state.state == "Succeeded" and state.termination is not None:
        try:
            _complete(world, status, job, state.termination, conditions)
        except Unusable as error:
            _fail(error.trouble, conditions)
    elif state.state == "Failed":
        _fail(Trouble(state.reason, state.message), conditions)
    return state.state in ("Succeeded", "Failed")


def _inputs(world: SearchWorld) -> Inputs | Trouble:
    """What the search starts from, or why it can't start."""
    target = world.target
    name = world.spec.target_ref.name
    if target is None:
        return Trouble(Reason.TARGET_NOT_FOUND, f"there is no Scenario {name} in this namespace; create it")
    if target.heavy_model is None:
        return Trouble(Reason.MODEL_NOT_FOUND, f"the HeavyModel of Scenario {name} does not exist")
    search = method_of(target.heavy_model.spec).search
    if search is None:
        return Trouble(Reason.INVALID_SPEC, f"targetRef: {target.heavy_model.spec.method} searches for no light model")
    trouble = nothing_to_attend_to("searchSpace.targetAttention", world.spec.search_space, target.heavy_model)
    if trouble is not None:
        return trouble
    run = target.status.run
    adapted = run is not None and any(step.name == search.heavy_step and step.result for step in run.steps)
    if run is None or run.base_version is None or not adapted:
        return Trouble(Reason.WAITING, f"waiting for Scenario {name} to be adapted")
    if world.is_the_scenarios and labels_of(world.raw).get(RUN_LABEL) != str(run.number):
        return Trouble(Reason.WAITING, f"Scenario {name} is at another run")
    owner, owner_run = place_of(world, run.number)
    return Inputs(
        heavy_model=target.heavy_model,
        target=target,
        run=run.number,
        manifest=manifest_key(target.store_key, run.data_version or data_version(run.number)),
        base_version=run.base_version,
        heavy_result=result_key(target.store_key, run.number, search.heavy_step),
        owner=owner,
        owner_run=owner_run,
        search=search,
    )


def _identity(world: SearchWorld, inputs: Inputs) -> str:
    return identity(step=inputs.search.step, search=uid_of(world.raw), heavy=inputs.heavy_result, owner=inputs.owner)


def _is_mended(world: SearchWorld, reason: str) -> bool:
    """It has failed: might it succeed with what its pod would be made of now?"""
    inputs, known = _inputs(world), world.status.made_of
    if known is None or world.spec.suspend or isinstance(inputs, Trouble) or not is_mended_by_its_pod(reason):
        return False
    digest = _identity(world, inputs)
    return known != made_of(_objects(world, inputs, digest, child_name(world.key.name, inputs.search.step, digest[:8])))


def _objects(world: SearchWorld, inputs: Inputs, digest: str, name: str) -> list[Json]:
    """What carries it out. Begun from an earlier run of its target, it goes on with what it was told then."""
    target, shared = inputs.target.spec, inputs.heavy_model.spec
    config = inputs.search.config(world, inputs, digest)
    place = Workplace(
        owner=world.raw,
        settings=world.settings,
        storage=shared.storage,
        secret=secret_name(inputs.target, inputs.heavy_model),
        trainer=shared.trainer,
        overrides=target.trainer,
        suspended=world.spec.suspend,
        distributed=METHODS[shared.method].distributed,
    )
    labels = {RUN_LABEL: str(inputs.run)}
    if digest != _identity(world, inputs):
        return working_objects(
            place, name, inputs.search.step, digest, labels, world.spec.budget.active_deadline_seconds
        )
    return step_objects(place, name, inputs.search.step, config, labels, world.spec.budget.active_deadline_seconds)


def _planned(world: SearchWorld, status: LightModelSearchStatus) -> int:
    """How many trials there are; what is known of them where the target that says how it searches is gone."""
    search = search_of(world)
    return search.planned(world) if search is not None else status.trials.planned


def _fail(why: Trouble, conditions: Conditions) -> None:
    for type_, holds in ((ConditionType.FAILED, True), (ConditionType.READY, False)):
        conditions.set(type_, holds, why.reason, why.message)


class Found(Outputs):
    """What is read of a search's result."""

    architecture_key: Annotated[str, Field(max_length=512)] | None = None
    architecture: str = ""
    flops: Annotated[int, Field(ge=0)] | None = None


def _complete(
    world: SearchWorld, status: LightModelSearchStatus, job: Json, said: Termination, conditions: Conditions
) -> None:
    found, inputs = outputs_of(Found, said), _inputs(world)
    key = found.architecture_key or (None if isinstance(inputs, Trouble) else inputs.search.found_key(inputs))
    if key is None:
        _fail(Trouble(Reason.STEP_FAILED, "the trainer does not say where in the store the result lies"), conditions)
        return
    heavy_model = world.target.heavy_model if world.target is not None else None
    planned = _planned(world, status)
    status.trials = TrialCounts(planned=planned, completed=planned)
    status.result_key = key
    status.result_sha256 = said.result_sha256
    if heavy_model is not None:
        status.pictures = links(labels_of(job)[ROLE_LABEL], said.pictures, heavy_model.spec.storage.uri)
    flops = said.flops if said.flops is not None else found.flops
    try:
        name = world.spec.objective.figure(heavy_model.spec.data_schema) if heavy_model is not None else None
    except ValueError:
        name = None  # the schema has changed since the search began with it
    best = said.metrics.get("validation", {}).get(name or "", Metric())
    if flops is not None:
        status.best = BestTrial(
            architecture=found.architecture[:4096],
            metric=figure(best.value),
            figure=name,
            flops=flops,
        )
    reason = said.reason or Reason.SUCCEEDED
    words = said.message or "an architecture inside the budget was found"
    conditions.set(ConditionType.COMPLETE, True, reason, words)
    conditions.set(ConditionType.READY, True, reason, words)
