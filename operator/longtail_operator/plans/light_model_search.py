"""What should exist for a LightModelSearch: one Job, until there is a result."""

from dataclasses import dataclass
from datetime import datetime

from longtail_api.conditions import ConditionType, Reason
from longtail_api.labels import IDENTITY_ANNOTATION, RUN_LABEL
from longtail_api.light_model_search import BestTrial, LightModelSearchSpec, LightModelSearchStatus, TrialCounts
from longtail_api.methods.alt import SearchConfig
from longtail_api.store_layout import (
    architecture_key,
    manifest_key,
    progress_key,
    result_key,
    scenario_key,
    step_prefix,
)
from longtail_api.store_objects import Metric, Termination
from longtail_operator.identity import child_name, identity
from longtail_operator.jobs import LOST_MESSAGE_AFTER, Workplace, config_base, judge, step_objects
from longtail_operator.objects import Json, annotations_of, key_of, labels_of, owner_reference, uid_of
from longtail_operator.pictures import links
from longtail_operator.plan import Draft, Plan
from longtail_operator.plans.observed import Observed
from longtail_operator.plans.scenario_world import HeavyModelView, ScenarioWorld, secret_name
from longtail_operator.pods import Trouble
from longtail_operator.run_numbers import data_version
from longtail_operator.status import Conditions

STEP = "search"
PROGRESS_SECONDS = 15.0
"""How often the progress of a running search is read."""


@dataclass(frozen=True, kw_only=True)
class SearchWorld(Observed):
    """One LightModelSearch and everything around it, at one moment."""

    spec: LightModelSearchSpec
    status: LightModelSearchStatus
    target: ScenarioWorld | None
    """The Scenario it is for, without its children."""
    progress: float | None = None
    """Part of the running search that is done, 0 to 1, where known. Advisory."""

    @property
    def is_the_scenarios(self) -> bool:
        """Made by its target's controller, for one run; else by a person."""
        return owner_reference(self.raw) is not None


@dataclass(frozen=True)
class Inputs:
    """What the search starts from: one run's heavy model."""

    heavy_model: HeavyModelView
    target: ScenarioWorld
    run: int
    manifest: str
    base_version: int
    heavy_result: str
    owner: str
    """Whose folder of the store it writes to, and under which run: the Scenario's, or a person's search's own."""
    owner_run: int


def place_of(world: SearchWorld, target_run: int) -> tuple[str, int]:
    """Owner and run of the search's folder in the store."""
    if world.is_the_scenarios and world.target is not None:
        return world.target.store_key, target_run
    return scenario_key(world.key.namespace, world.key.name, uid_of(world.raw)), 1


def running_progress_key(world: SearchWorld) -> str | None:
    """Where the running search says how far it is."""
    run = labels_of(world.raw).get(RUN_LABEL, "1")
    if world.target is None or not run.isdecimal():
        return None
    return progress_key(step_prefix(*place_of(world, int(run)), STEP))


def plan_search(world: SearchWorld, now: datetime) -> Plan:
    """Decide what should exist for `world`'s search. Raises nothing."""
    status = world.status.model_copy(deep=True)
    status.observed_generation = world.generation
    conditions = Conditions(world.status.conditions, world.generation, now)
    draft = Draft()
    over = [conditions.before(type_) for type_ in (ConditionType.COMPLETE, ConditionType.FAILED)]
    if any(condition is not None and condition.status == "True" for condition in over):
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
    inputs = _inputs(world)
    jobs = [item for item in world.children if item["kind"] == "Job"]
    if isinstance(inputs, Trouble):
        # The Job that is there was started with what it needs, and goes on.
        draft.kept.update(key_of(item) for item in world.children)
        conditions.set(ConditionType.READY, False, inputs.reason, inputs.message)
        return
    digest = annotations_of(jobs[0]).get(IDENTITY_ANNOTATION, "") if jobs else _identity(world, inputs)
    name = child_name(world.key.name, STEP, digest[:8])
    state = judge(jobs[0] if jobs else None, world.pods, now)
    if state.state == "Succeeded" and state.termination is not None:
        _complete(world, status, inputs, state.termination, conditions)
        return
    if state.state == "Failed":
        conditions.set(ConditionType.FAILED, True, state.reason, state.message)
        conditions.set(ConditionType.READY, False, state.reason, state.message)
        return
    if state.state == "Absent" and world.spec.suspend:
        conditions.set(ConditionType.READY, False, Reason.SUSPENDED, "suspended before it started")
        return
    if state.state in ("Lost", "Deleting"):
        draft.kept.update(key_of(item) for item in world.children)
        draft.deletions.extend(key_of(item) for item in jobs if state.state == "Lost")
    elif digest == _identity(world, inputs):
        draft.children.extend(_objects(world, inputs, digest, name))
    else:
        # Begun from an earlier run of its target; what it was told stands in its ConfigMap.
        draft.kept.update(key_of(item) for item in world.children)
    draft.requeue_in(PROGRESS_SECONDS if state.state == "Running" else LOST_MESSAGE_AFTER.total_seconds())
    planned = world.spec.budget.max_trials or world.spec.algorithm.gdas.epochs
    done = int(planned * world.progress) if world.progress is not None else status.trials.completed
    status.trials = TrialCounts(planned=planned, completed=done)
    suspended = world.spec.suspend
    conditions.set(
        ConditionType.READY,
        False,
        Reason.SUSPENDED if suspended else state.reason or Reason.PENDING,
        "suspended; it resumes from its last checkpoint" if suspended else state.message or "the search starts",
    )


def _inputs(world: SearchWorld) -> Inputs | Trouble:
    """What the search starts from, or why it can't start."""
    target = world.target
    name = world.spec.target_ref.name
    if world.spec.target_ref.kind != "Scenario":
        return Trouble(Reason.INVALID_SPEC, "targetRef.kind: only a Scenario can be searched for; name one")
    if target is None:
        return Trouble(Reason.TARGET_NOT_FOUND, f"there is no Scenario {name} in this namespace; create it")
    if target.heavy_model is None:
        return Trouble(Reason.MODEL_NOT_FOUND, f"the HeavyModel of Scenario {name} does not exist")
    run = target.status.run
    adapted = run is not None and any(step.name == "adapt" and step.result for step in run.steps)
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
        heavy_result=result_key(target.store_key, run.number, "adapt"),
        owner=owner,
        owner_run=owner_run,
    )


def _identity(world: SearchWorld, inputs: Inputs) -> str:
    return identity(step=STEP, search=uid_of(world.raw), heavy=inputs.heavy_result, owner=inputs.owner)


def _objects(world: SearchWorld, inputs: Inputs, digest: str, name: str) -> list[Json]:
    spec, target = world.spec, inputs.target.spec
    shared = inputs.heavy_model.spec
    latency = target.budget.max_latency_milliseconds
    config = SearchConfig(
        **config_base(shared, inputs.owner, inputs.owner_run, digest),
        manifest=inputs.manifest,
        base_version=inputs.base_version,
        heavy_result=inputs.heavy_result,
        algorithm=spec.algorithm,
        search_space=spec.search_space,
        objective=spec.objective,
        teacher=spec.teacher,
        early_stopping=spec.early_stopping,
        features=target.light.features,
        max_flops=int(spec.budget.max_flops) if spec.budget.max_flops is not None else None,
        max_trials=spec.budget.max_trials,
        max_latency_milliseconds=float(latency) if latency is not None else None,
        batch_size=shared.training.batch_size,
    )
    place = Workplace(
        owner=world.raw,
        settings=world.settings,
        storage=shared.storage,
        secret=secret_name(inputs.target, inputs.heavy_model),
        trainer=shared.trainer,
        overrides=target.trainer,
        suspended=spec.suspend,
    )
    labels = {RUN_LABEL: str(inputs.run)}
    return step_objects(place, name, STEP, config, labels, spec.budget.active_deadline_seconds)


def _complete(
    world: SearchWorld, status: LightModelSearchStatus, inputs: Inputs, said: Termination, conditions: Conditions
) -> None:
    planned = world.spec.budget.max_trials or world.spec.algorithm.gdas.epochs
    status.trials = TrialCounts(planned=planned, completed=planned)
    status.result_key = str(said.outputs.get("architectureKey") or architecture_key(inputs.owner, inputs.owner_run))
    status.result_sha256 = said.result_sha256
    status.pictures = links(STEP, said.pictures, inputs.heavy_model.spec.storage.uri)
    flops = said.flops if said.flops is not None else said.outputs.get("flops")
    figure = said.metrics.get("validation", {}).get("auc", Metric()).value
    if isinstance(flops, int):
        status.best = BestTrial(
            architecture=str(said.outputs.get("architecture", ""))[:4096],
            metric=None if figure is None else f"{figure:.4f}",
            flops=flops,
        )
    reason = said.reason or Reason.SUCCEEDED
    words = said.message or "an architecture inside the budget was found"
    conditions.set(ConditionType.COMPLETE, True, reason, words)
    conditions.set(ConditionType.READY, True, reason, words)
