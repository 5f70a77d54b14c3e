"""The first step of every method's run: the Scenario's rows, joined, as a data version."""

from typing import Annotated

from pydantic import Field

from longtail_api.conditions import ConditionType
from longtail_api.run_config import PrepareConfig, StepConfig
from longtail_api.scenario import PreparedData, ScenarioStatus
from longtail_api.store_layout import manifest_key
from longtail_api.store_objects import Termination
from longtail_operator.kubernetes.identity import identity
from longtail_operator.kubernetes.outputs import Outputs, outputs_of
from longtail_operator.scenario.step import LONGEST_NOTE, JobStep, RunContext
from longtail_operator.scenario.world import source_hash, source_key, tables


class Prepared(Outputs):
    """What is read of prepare's result."""

    training_fingerprint: Annotated[str, Field(max_length=64)] | None = None
    unjoined: list[str] = []


class Prepare(JobStep):
    name = "prepare"
    condition = ConditionType.DATA_PREPARED
    needs_version = False

    def identity(self, context: RunContext) -> str:
        return identity(
            step=self.name,
            scenario=context.world.store_key,
            run=context.run.number,
            source=source_hash(context.world, context.heavy_model),
        )

    def config(self, context: RunContext, digest: str) -> StepConfig:
        spec = context.heavy_model.spec
        return PrepareConfig(
            **context.config_base(digest),
            data_schema=spec.data_schema,
            source_key=source_key(context.world),
            data_version=context.data_version,
            **tables(context.world.spec, spec),
        )

    def record(self, context: RunContext, digest: str, status: ScenarioStatus, said: Termination) -> None:
        prepared = outputs_of(Prepared, said)
        context.run.data_version = context.data_version
        fingerprint = prepared.training_fingerprint
        before = status.data
        same = before is not None and fingerprint is not None and before.fingerprint == fingerprint
        status.data = PreparedData(
            version=context.data_version,
            run=context.run.number,
            # Of other addresses than today's, where those were edited meanwhile and its next run may not start yet.
            source_hash=source_hash(context.world, context.heavy_model) if digest == self.identity(context) else "",
            fingerprint=fingerprint,
            taught_generation=_taught_generation(context, before) if before is not None and same else None,
        )
        for step in context.run.steps:
            if step.name == self.name:
                step.note = "; ".join(prepared.unjoined)[:LONGEST_NOTE] or None


def _taught_generation(context: RunContext, data: PreparedData) -> int | None:
    """The generation of the agnostic model that has learned these data: as its pool, or by feedback."""
    pool, version = context.heavy_model.pool, context.heavy_model.status.version
    if version is not None and manifest_key(context.world.store_key, data.version) in (pool or ()):
        return version.generation
    return data.taught_generation


PREPARE = Prepare()
