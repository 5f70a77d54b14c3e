"""The Job of a LightModelSearch under ALT: what it is told."""

from longtail_api.light_model_search import TRIALS
from longtail_api.methods.alt import SearchConfig
from longtail_api.run_config import StepConfig
from longtail_api.store_layout import architecture_key
from longtail_operator.kubernetes.jobs import config_base
from longtail_operator.methods.alt.steps import ADAPT, transfer_from
from longtail_operator.search.world import Inputs, SearchWorld


class AltSearch:
    """ALT III-D, from the heavy model that `adapt` left."""

    step = "search"
    heavy_step = ADAPT.name

    def config(self, world: SearchWorld, inputs: Inputs, digest: str) -> StepConfig:
        spec, target = world.spec, inputs.target.spec
        shared = inputs.heavy_model.spec
        latency = target.budget.max_latency_milliseconds
        return SearchConfig(
            **config_base(shared, inputs.owner, inputs.owner_run, digest),
            manifest=inputs.manifest,
            base_version=inputs.base_version,
            heavy_result=inputs.heavy_result,
            algorithm=spec.algorithm,
            search_space=spec.search_space,
            objective=spec.objective,
            teacher=spec.teacher,
            transfer_from=transfer_from(inputs.heavy_model, inputs.target.key.namespace),
            early_stopping=spec.early_stopping,
            features=target.light.features,
            max_flops=int(spec.budget.max_flops) if spec.budget.max_flops is not None else None,
            max_trials=spec.budget.max_trials,
            trial_deadline_seconds=spec.budget.trial_deadline_seconds,
            max_latency_milliseconds=float(latency) if latency is not None else None,
            batch_size=shared.training.batch_size,
        )

    def planned(self, world: SearchWorld) -> int:
        """Trials, or epochs of the differentiable search."""
        if world.spec.algorithm.name == "gdas":
            return world.spec.algorithm.gdas.epochs
        return world.spec.budget.max_trials or TRIALS

    def found_key(self, inputs: Inputs) -> str:
        return architecture_key(inputs.owner, inputs.owner_run)
