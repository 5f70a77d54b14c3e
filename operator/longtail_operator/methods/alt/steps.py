"""The steps of a Scenario's run under ALT: what each depends on, what it is told, and what its result changes."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from longtail_api.conditions import ConditionType, Reason
from longtail_api.labels import IDENTITY_ANNOTATION, RUN_LABEL
from longtail_api.light_model_search import (
    LightModelSearchSpec,
    LightModelSearchStatus,
    SearchBudget,
    TargetReference,
    Teacher,
)
from longtail_api.methods.alt import AdaptConfig, AdaptReason, TrainLightConfig
from longtail_api.run_config import StepConfig
from longtail_api.scenario import Light, ScenarioStatus, StepStatus
from longtail_api.store_layout import result_key, scenarios_prefix
from longtail_api.store_objects import Termination
from longtail_operator.kubernetes.children import child
from longtail_operator.kubernetes.identity import child_name, identity
from longtail_operator.kubernetes.job_follower import Followed
from longtail_operator.kubernetes.jobs import JobState
from longtail_operator.kubernetes.objects import SEARCH, Json, Key, is_deleting, key_of, labels_of, section
from longtail_operator.kubernetes.outputs import Outputs, outputs_of
from longtail_operator.kubernetes.own_status import StatusUnreadable, own_status
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.pictures import replaced
from longtail_operator.scenario.figures import link_pictures, model_metrics
from longtail_operator.scenario.prepare import PREPARE
from longtail_operator.scenario.run import DATA_SCHEDULE
from longtail_operator.scenario.step import LONGEST_NOTE, JobStep, LightTrained, RunContext, Step
from longtail_operator.scenario.world import HeavyModelView, schema_hash


class Adapted(Outputs):
    """What is read of adapt's result."""

    generation: Annotated[int, Field(ge=1)] | None = None
    feedback_reason: Annotated[str, Field(max_length=63)] | None = None
    adapt_reason: str | None = None
    interpolation: float | None = None
    uncovered: dict[str, float] | None = None


class Adapt(JobStep):
    name = "adapt"
    condition = ConditionType.ADAPTED

    def identity(self, context: RunContext) -> str:
        return identity(
            step=self.name,
            **context.training_inputs,
        )

    def config(self, context: RunContext, digest: str) -> StepConfig:
        spec = context.heavy_model.spec
        return AdaptConfig(
            **context.config_base(digest),
            manifest=context.manifest,
            base_version=context.base_version,
            training=spec.training,
            feedback=not already_learned(context),
        )

    def record(self, context: RunContext, digest: str, status: ScenarioStatus, said: Termination) -> None:
        adapted = outputs_of(Adapted, said)
        status.metrics.heavy = model_metrics(said, context.heavy_model.spec.data_schema)
        context.run.no_feedback = adapted.feedback_reason
        if context.run.no_feedback is None and status.data is not None and status.data.version == context.data_version:
            status.data.taught_generation = adapted.generation
        for step in context.run.steps:
            if step.name == self.name:
                step.note = _adapted(adapted)
        link_pictures(context, status, self.name, said)


class Search:
    """The search is a LightModelSearch, whose own controller runs it.

    Its identity leaves out whatever should not cause another search: under `Once` the schema and the run, under
    `OnSchemaChange` the run. So an earlier run's search is found again by its name.
    """

    name = "search"
    condition = ConditionType.SEARCHED
    needs_version = True

    def identity(self, context: RunContext) -> str:
        light, mode = context.world.spec.light, context.world.spec.light.search
        return identity(
            step=self.name,
            scenario=context.world.store_key,
            algorithm=light.algorithm.to_json_dict(),
            space=light.search_space.to_json_dict(),
            features=light.features,
            budget=context.world.spec.budget.to_json_dict(),
            **_teacher_inputs(light),
            schema=None if mode == "Once" else schema_hash(context.heavy_model.spec),
            run=context.run.number if mode == "Always" else None,
        )

    def search_name(self, context: RunContext, digest: str) -> str:
        return child_name(context.world.key.name, digest[:8])

    def follow(self, context: RunContext, digest: str, known: StepStatus | None, draft: Draft) -> Followed:
        state = self.look(context, digest)
        if state.is_under_way:
            draft.children.extend(self.objects(context, digest))
        elif state.state in ("Lost", "Deleting"):
            keys = [key_of(item) for item in self.objects(context, digest)]
            draft.kept.update(keys)
            draft.deletions.extend(keys if state.state == "Lost" else [])
        return Followed(state, 0)

    def is_mended(self, context: RunContext, known: StepStatus) -> bool:
        """It is the LightModelSearch's own controller that takes it up again."""
        found = context.world.find(SEARCH, self.search_name(context, known.identity))
        return found is not None and self.look(context, known.identity).is_under_way

    def look(self, context: RunContext, digest: str) -> JobState:
        """How far the LightModelSearch is."""
        found = context.world.find(SEARCH, self.search_name(context, digest))
        if found is None:
            refused = context.world.refused(self.search_name(context, digest))
            return JobState("Absent") if refused is None else JobState("Absent", refused.reason, refused.message)
        name = found["metadata"]["name"]
        if is_deleting(found):
            return JobState("Deleting", Reason.PENDING, f"waiting until LightModelSearch {name} is gone")
        try:
            status = own_status(LightModelSearchStatus, found)
        except StatusUnreadable as error:
            return JobState("Running", Reason.INVALID_SPEC, f"LightModelSearch {name}: {error}")
        conditions = {condition.type: condition for condition in status.conditions if condition.status == "True"}
        if ConditionType.COMPLETE in conditions and status.result_sha256:
            return JobState(
                "Succeeded", Reason.SUCCEEDED, "", Termination(status="Succeeded", result_sha256=status.result_sha256)
            )
        if labels_of(found).get(RUN_LABEL) != str(context.run.number):
            # Begun for a run that was replaced, or failed in one: this run's heavy model is another.
            return JobState("Lost", Reason.PENDING, f"LightModelSearch {name} belongs to an earlier run")
        if ConditionType.FAILED in conditions:
            failed = conditions[ConditionType.FAILED]
            return JobState("Failed", failed.reason, failed.message)
        ready = next((condition for condition in status.conditions if condition.type == ConditionType.READY), None)
        words = ready.message if ready else "not looked at yet"
        reason = ready.reason if ready else Reason.RUNNING
        return JobState("Running", reason, f"LightModelSearch {name}: {words}")

    def objects(self, context: RunContext, digest: str) -> list[Json]:
        world = context.world
        name = self.search_name(context, digest)
        spec = LightModelSearchSpec(
            target_ref=TargetReference(kind="Scenario", name=world.key.name),
            algorithm=world.spec.light.algorithm,
            search_space=world.spec.light.search_space,
            teacher=world.spec.light.teacher or Teacher(),
            budget=SearchBudget(
                max_flops=world.spec.budget.max_flops,
                active_deadline_seconds=context.heavy_model.spec.trainer.deadline_seconds,
            ),
            suspend=world.paused,
        ).to_json_dict()
        found = world.find(SEARCH, name)
        if found is not None:
            # Immutable but for suspend; later defaults of ours must not be written over it.
            spec = {**section(found, "spec"), "suspend": world.paused}
        annotations = {IDENTITY_ANNOTATION: digest}
        return [child(SEARCH, name, world.raw, self.name, {"spec": spec}, context.run_label, annotations)]

    def record(self, context: RunContext, digest: str, status: ScenarioStatus, said: Termination) -> None:
        """What was found stands in the LightModelSearch's own status; its pictures are shown here, too."""
        name = self.search_name(context, digest)
        status.lineage.search = name
        found = context.world.find(SEARCH, name)
        own = own_status(LightModelSearchStatus, found or {})
        status.pictures = replaced(status.pictures, self.name, own.pictures)
        for step in context.run.steps:
            if step.name == self.name:
                step.result_key = own.result_key

    def result_key(self, context: RunContext) -> str | None:
        """Where what was found lies. Of a run whose status does not say it, its LightModelSearch does."""
        known = context.recorded(self.name)
        if known is not None and known.result_key is not None:
            return known.result_key
        found = context.world.find(SEARCH, self.search_name(context, context.identity_of(self)))
        return own_status(LightModelSearchStatus, found or {}).result_key

    def keeps(self, context: RunContext) -> set[Key]:
        """The search whose result is in use stands, whatever step is under way: later runs may find it again."""
        if context.run.trigger == DATA_SCHEDULE:
            return {key_of(item) for item in context.world.children if item["kind"] == SEARCH}
        found = context.world.find(SEARCH, self.search_name(context, context.identity_of(self)))
        return set() if found is None else {key_of(found)}


class TrainLight(JobStep):
    name = "train-light"
    condition = ConditionType.TRAINED

    def identity(self, context: RunContext) -> str:
        return identity(
            step=self.name,
            **context.training_inputs,
            search=context.identity_of(SEARCH_STEP),
            features=context.world.spec.light.features,
            budget=context.world.spec.budget.to_json_dict(),
        )

    def config(self, context: RunContext, digest: str) -> StepConfig:
        spec, own = context.heavy_model.spec, context.world.spec
        latency = own.budget.max_latency_milliseconds
        return TrainLightConfig(
            **context.config_base(digest),
            manifest=context.manifest,
            base_version=context.base_version,
            heavy_result=result_key(context.world.store_key, context.run.number, ADAPT.name),
            search_result=SEARCH_STEP.result_key(context),
            light_version=context.light_version,
            teacher=own.light.teacher or Teacher(),
            transfer_from=transfer_from(context.heavy_model, context.world.key.namespace),
            training=spec.training,
            features=own.light.features,
            max_flops=int(own.budget.max_flops) if own.budget.max_flops is not None else None,
            max_latency_milliseconds=float(latency) if latency is not None else None,
        )

    def record(self, context: RunContext, digest: str, status: ScenarioStatus, said: Termination) -> None:
        trained = outputs_of(LightTrained, said)
        status.metrics.light = model_metrics(said, context.heavy_model.spec.data_schema)
        link_pictures(context, status, self.name, said)
        context.run.light_sha256 = trained.model_sha256


WHY_KEPT: Mapping[AdaptReason | str, str] = {
    "NoSupportRows": "there is no support row",
    "NoLabels": "none of its support rows has a label",
    "OneClass": "its support rows are of one class",
    "NoValidationRows": "no labeled validation row can judge another",
    "NotBetter": "validation rows show nothing to be better",
}


def _adapted(said: Adapted) -> str | None:
    """How far the scenario's heavy model lies from the agnostic one, and what of its data the features don't know.

    None where its trainer said neither.
    """
    reason, share = said.adapt_reason, said.interpolation
    words: list[str] = []
    if reason is not None:
        words.append(f"the agnostic model is kept: {WHY_KEPT.get(reason, reason)}")
    elif share is not None:
        words.append(f"adapted, α = {share:g}")
    if uncovered := said.uncovered:
        column, part = max(uncovered.items(), key=lambda item: item[1])
        others = f" and {len(uncovered) - 1} more" if len(uncovered) > 1 else ""
        words.append(f"of {column}{others} {part:.0%} of the values lie outside what the pool's features know")
    return "; ".join(words)[:LONGEST_NOTE] or None


def _teacher_inputs(light: Light) -> dict[str, Any]:
    """The teacher as a part of an identity: none where none is given, as it was before one could be."""
    return {} if light.teacher is None else {"teacher": light.teacher.to_json_dict()}


def transfer_from(heavy_model: HeavyModelView, namespace: str) -> list[str]:
    """Beginnings of the keys of those Scenarios whose rows one in `namespace` may be distilled on."""
    namespaces = {
        "Namespace": [namespace],
        "AllowedNamespaces": sorted({heavy_model.key.namespace, *heavy_model.spec.allowed_namespaces}),
        "None": [],
    }
    return [scenarios_prefix(name) for name in namespaces[heavy_model.spec.share_rows]]


def already_learned(context: RunContext) -> bool:
    """Whether the agnostic model's generation has learned this run's rows: from its initial pool, or from an earlier
    run's feedback on the same prepared data. A second lesson from the same rows would count them twice."""
    heavy_model, data = context.heavy_model, context.world.status.data
    if context.manifest in (heavy_model.pool or ()):
        return True
    version = heavy_model.status.version
    return (
        data is not None
        and version is not None
        and data.version == context.data_version
        and data.taught_generation == version.generation
    )


ADAPT, SEARCH_STEP, TRAIN_LIGHT = Adapt(), Search(), TrainLight()
EVERY_STEP: tuple[Step, ...] = (PREPARE, ADAPT, SEARCH_STEP, TRAIN_LIGHT)


def steps_of(context: RunContext) -> tuple[Step, ...]:
    """The steps of this run, in order.

    A run for new data alone ends with it. A Scenario without serving gives feedback once its data is prepared, unless
    the agnostic model has learned exactly that data already.
    """
    if context.run.trigger == DATA_SCHEDULE:
        return (PREPARE,)
    if context.world.spec.serving is not None:
        return EVERY_STEP
    if context.heavy_model.pool is not None and context.manifest in context.heavy_model.pool:
        return (PREPARE,)
    return (PREPARE, ADAPT)
