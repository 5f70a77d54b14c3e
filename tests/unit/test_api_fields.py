"""Every field of a spec does something: each is named here with the module that reads it.

A field that is new is in no row, and one that is read no more is missed in its module: both fail. Beside its reader
each has a test of its effect.
"""

import ast
import re
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from longtail_api.kinds import KINDS

ROOT = Path(__file__).parents[2]
OPERATOR = "operator/longtail_operator"
TRAINER = "trainer_image/longtail_trainer"
READ_BY: dict[str, dict[str, str]] = {
    "Algorithm": {
        f"{OPERATOR}/methods/alt/search.py": "gdas name",
    },
    "Architecture": {
        f"{TRAINER}/models/alt_heavy/model.py": (
            "dropout embedding_size prediction_layers profile_layers target_attention"
        ),
        f"{TRAINER}/models/alt_heavy/sequence_layers.py": "behavior_intermediate behavior_layers behavior_width",
        f"{TRAINER}/models/alt_heavy/behavior.py": "behavior_heads",
    },
    "BehaviorSequence": {
        f"{TRAINER}/models/alt_heavy/behavior.py": "categorical max_length numeric",
        f"{TRAINER}/data/prepare/joined.py": "name",
    },
    "Budget": {
        f"{OPERATOR}/methods/alt/search.py": "max_flops max_latency_milliseconds",
    },
    "DataLocation": {
        f"{OPERATOR}/scenario/world.py": "behaviors profile samples",
    },
    "DataSchema": {
        f"{TRAINER}/data/prepare/columns.py": "context labels profile split",
        f"{TRAINER}/data/features/columns.py": "shared_vocabularies",
        f"{TRAINER}/data/loading.py": "behaviors",
    },
    "DifferentiableParameters": {
        f"{TRAINER}/search/evaluators/gdas.py": (
            "architecture_learning_rate epochs learning_rate temperature_end temperature_start warm_up"
        ),
    },
    "EarlyStopping": {
        f"{TRAINER}/methods/alt/rankings/random.py": "patience",
    },
    "EncoderSearch": {
        f"{TRAINER}/methods/alt/initialization/encoder_search.py": "gdas layers operations",
        f"{TRAINER}/methods/alt/initialization/choice.py": "deadline_seconds",
    },
    "FeatureColumns": {
        f"{TRAINER}/data/features/columns.py": "categorical numeric",
    },
    "GdasParameters": {
        f"{TRAINER}/search/evaluators/gdas.py": (
            "architecture_learning_rate epochs flops_weight learning_rate temperature_end temperature_start warm_up"
        ),
    },
    "HeavyModelReference": {
        f"{OPERATOR}/worlds.py": "name namespace",
    },
    "HeavyModelSpec": {
        f"{OPERATOR}/scenario/world.py": "architecture data data_schema encoder method storage trainer",
        f"{OPERATOR}/heavy_model/world.py": "initialization",
        f"{OPERATOR}/methods/alt/initialization.py": "retention training",
        f"{OPERATOR}/methods/alt/meta_training.py": "meta_training meta_update",
        f"{OPERATOR}/methods/alt/steps.py": "allowed_namespaces share_rows",
    },
    "HyperparameterSearch": {
        f"{TRAINER}/methods/alt/initialization/choice.py": (
            "algorithm deadline_seconds early_stopping max_trials space trial_deadline_seconds"
        ),
    },
    "HyperparameterSpace": {
        f"{TRAINER}/methods/alt/initialization/pre_designed.py": (
            "behavior_layers learning_rate prediction_layers profile_layers"
        ),
    },
    "Initialization": {
        f"{OPERATOR}/methods/alt/initialization.py": "min_scenarios search wait_seconds",
        f"{OPERATOR}/heavy_model/world.py": "scenario_selector",
    },
    "InitializationSearch": {
        f"{TRAINER}/methods/alt/initialization/choice.py": "architecture hyperparameters ways",
    },
    "LabelColumn": {
        f"{OPERATOR}/serving/check.py": "name type",
        f"{TRAINER}/training/loss.py": "weight",
        f"{TRAINER}/data/loading.py": "observed_when",
    },
    "Light": {
        f"{OPERATOR}/methods/alt/steps.py": "algorithm features search search_space teacher",
    },
    "LightModelSearchSpec": {
        f"{OPERATOR}/methods/alt/search.py": "algorithm budget early_stopping objective search_space teacher",
        f"{OPERATOR}/search/plan.py": "suspend target_ref",
    },
    "MetaTraining": {
        f"{OPERATOR}/methods/alt/meta_training.py": "schedule time_zone",
    },
    "MetaUpdate": {
        f"{OPERATOR}/meta_update/config.py": "clip_norm learning_rate staleness_exponent",
        f"{OPERATOR}/meta_update/folding.py": "buffer_size flush_interval_seconds mode",
    },
    "Objective": {
        f"{TRAINER}/methods/alt/rankings/gdas.py": "goal",
    },
    "Refresh": {
        f"{OPERATOR}/scenario/run.py": "data jitter_seconds model starting_deadline_seconds time_zone",
    },
    "Retention": {
        f"{OPERATOR}/stores/retention.py": "data_versions light_versions orphans_seconds runs versions",
    },
    "Rollout": {
        f"{OPERATOR}/serving/check.py": "check_concurrency check_seconds",
    },
    "ScenarioData": {
        f"{OPERATOR}/scenario/world.py": "behaviors profile samples scenario_key",
    },
    "ScenarioSelector": {
        f"{OPERATOR}/heavy_model/world.py": "match_labels",
    },
    "ScenarioSpec": {
        f"{OPERATOR}/scenario/world.py": "budget data light serving storage suspend trainer",
        f"{OPERATOR}/scenario/run.py": "refresh",
        f"{OPERATOR}/scenario/plan.py": "heavy_model_ref",
    },
    "SearchBudget": {
        f"{OPERATOR}/methods/alt/search.py": "max_flops max_trials trial_deadline_seconds",
        f"{OPERATOR}/search/plan.py": "active_deadline_seconds",
    },
    "SearchSpace": {
        f"{TRAINER}/methods/alt/rankings/super_model.py": "layers operations target_attention width",
    },
    "SecretReference": {
        f"{OPERATOR}/scenario/world.py": "name",
    },
    "Serving": {
        f"{OPERATOR}/serving/check.py": "max_regression rollout slo",
        f"{OPERATOR}/serving/objects.py": "max_replicas min_replicas pod_template resources",
        f"{OPERATOR}/serving/candidate.py": "pinned_version",
    },
    "Slo": {
        f"{OPERATOR}/serving/check.py": "max_error_rate p99_milliseconds",
    },
    "SplitRule": {
        f"{TRAINER}/data/prepare/splits.py": "method test validation",
    },
    "Storage": {
        f"{OPERATOR}/stores/hub.py": "ca_bundle endpoint path_style region uri",
        f"{OPERATOR}/heavy_model/world.py": "credentials_secret_ref",
    },
    "StorageOverrides": {
        f"{OPERATOR}/scenario/world.py": "credentials_secret_ref",
    },
    "TargetReference": {
        f"{OPERATOR}/worlds.py": "name",
    },
    "Teacher": {
        f"{TRAINER}/methods/alt/train_light.py": "temperature transfer_rows weight",
    },
    "Trainer": {
        f"{OPERATOR}/kubernetes/jobs.py": (
            "backoff_limit deadline_seconds device image nodes pod_template queue_name resources"
        ),
        f"{OPERATOR}/worlds.py": "max_concurrent_runs",
    },
    "TrainerOverrides": {
        f"{OPERATOR}/kubernetes/jobs.py": "pod_template resources",
    },
    "Training": {
        f"{TRAINER}/methods/alt/adapt.py": "epochs fine_tune_batch_size fine_tune_epochs fine_tune_learning_rate seed",
        f"{TRAINER}/methods/alt/fresh.py": "batch_size learning_rate",
    },
}
"""By model and module: the fields that the module reads."""
TESTED_IN: dict[str, dict[str, str]] = {
    "Algorithm": {
        "trainer/test_search_step.py": "gdas name",
    },
    "Architecture": {
        "trainer/test_heavy.py": (
            "behavior_heads behavior_intermediate behavior_layers behavior_width dropout embedding_size "
            "prediction_layers profile_layers"
        ),
        "trainer/test_target_attention.py": "target_attention",
    },
    "BehaviorSequence": {
        "trainer/test_light.py": "categorical max_length numeric",
        "trainer/test_names_of_the_user.py": "name",
    },
    "Budget": {
        "unit/test_operator_scenario.py": "max_flops",
        "trainer/test_search_step.py": "max_latency_milliseconds",
    },
    "DataLocation": {
        "trainer/test_prepare_step.py": "behaviors profile samples",
    },
    "DataSchema": {
        "trainer/test_prepare_step.py": "behaviors context labels profile split",
        "trainer/test_shared_vocabularies.py": "shared_vocabularies",
    },
    "DifferentiableParameters": {
        "trainer/test_search_gdas.py": (
            "architecture_learning_rate epochs learning_rate temperature_end temperature_start warm_up"
        ),
    },
    "EarlyStopping": {
        "trainer/test_heavy_training.py": "patience",
    },
    "EncoderSearch": {
        "trainer/test_initialize_search.py": "deadline_seconds gdas layers operations",
    },
    "FeatureColumns": {
        "trainer/test_features.py": "categorical numeric",
    },
    "GdasParameters": {
        "trainer/test_search_gdas.py": (
            "architecture_learning_rate epochs flops_weight learning_rate temperature_end temperature_start warm_up"
        ),
    },
    "HeavyModelReference": {
        "unit/test_operator_gate.py": "name namespace",
    },
    "HeavyModelSpec": {
        "trainer/test_initialize_search.py": "architecture training",
        "trainer/test_heavy.py": "encoder data_schema",
        "unit/test_operator_initialization_search.py": "initialization",
        "unit/test_operator_meta_training.py": "meta_training",
        "unit/test_operator_methods.py": "method",
        "unit/test_operator_pod_template.py": "data storage trainer",
        "unit/test_operator_removal.py": "deletion_policy",
        "unit/test_operator_retention.py": "retention",
        "unit/test_operator_teaching.py": "allowed_namespaces share_rows",
        "unit/test_metaupdate_process.py": "meta_update",
    },
    "HyperparameterSearch": {
        "trainer/test_initialize_search.py": (
            "deadline_seconds early_stopping max_trials space trial_deadline_seconds"
        ),
        "trainer/test_search_driver.py": "algorithm",
    },
    "HyperparameterSpace": {
        "trainer/test_initialize_search.py": "behavior_layers learning_rate prediction_layers profile_layers",
    },
    "Initialization": {
        "unit/test_operator_healing.py": "min_scenarios wait_seconds",
        "unit/test_operator_foreign.py": "scenario_selector",
        "unit/test_operator_initialization_search.py": "search",
    },
    "InitializationSearch": {
        "trainer/test_initialize_search.py": "architecture hyperparameters ways",
    },
    "LabelColumn": {
        "trainer/test_heavy_training.py": "weight",
        "unit/test_api_objective.py": "type",
        "trainer/test_prepare_step.py": "name observed_when",
    },
    "Light": {
        "unit/test_operator_identities.py": "algorithm features search search_space",
        "unit/test_operator_teaching.py": "teacher",
    },
    "LightModelSearchSpec": {
        "trainer/test_search_step.py": "algorithm objective teacher",
        "unit/test_operator_searches.py": "budget search_space suspend target_ref",
        "unit/test_operator_teaching.py": "early_stopping",
    },
    "MetaTraining": {
        "unit/test_operator_meta_training.py": "schedule time_zone",
    },
    "MetaUpdate": {
        "unit/test_metaupdate_fold.py": "clip_norm learning_rate staleness_exponent",
        "unit/test_metaupdate_rules.py": "buffer_size flush_interval_seconds mode",
    },
    "Objective": {
        "trainer/test_search_step.py": "goal label metric",
    },
    "Refresh": {
        "unit/test_operator_scenario.py": "data jitter_seconds model starting_deadline_seconds",
        "unit/test_operator_parts.py": "time_zone",
    },
    "Retention": {
        "unit/test_metaupdate_garbage.py": "orphans_seconds versions",
        "unit/test_operator_retention.py": "data_versions light_versions runs",
    },
    "Rollout": {
        "unit/test_operator_jobs.py": "check_concurrency check_seconds",
    },
    "ScenarioData": {
        "unit/test_operator_scenario.py": "behaviors profile samples scenario_key",
    },
    "ScenarioSelector": {
        "unit/test_operator_foreign.py": "match_labels",
    },
    "ScenarioSpec": {
        "unit/test_operator_pod_template.py": "data serving storage trainer",
        "unit/test_operator_gate.py": "heavy_model_ref suspend",
        "unit/test_operator_searches.py": "budget",
        "unit/test_operator_teaching.py": "light",
        "unit/test_operator_scenario.py": "refresh",
    },
    "SearchBudget": {
        "unit/test_operator_jobs.py": "active_deadline_seconds",
        "trainer/test_search_step.py": "max_flops max_trials",
        "unit/test_operator_teaching.py": "trial_deadline_seconds",
    },
    "SearchSpace": {
        "trainer/test_search_spaces.py": "layers operations width",
        "trainer/test_target_attention.py": "target_attention",
    },
    "SecretReference": {
        "unit/test_operator_pod_template.py": "name",
    },
    "Serving": {
        "unit/test_operator_replicas.py": "max_replicas min_replicas",
        "unit/test_operator_pod_template.py": "pod_template slo",
        "unit/test_operator_rollout.py": "pinned_version",
        "unit/test_operator_jobs.py": "max_regression resources rollout",
    },
    "Slo": {
        "serving/test_verdict.py": "max_error_rate p99_milliseconds",
    },
    "SplitRule": {
        "trainer/test_prepare_splits.py": "method test validation",
    },
    "Storage": {
        "unit/test_store_answers.py": "ca_bundle endpoint path_style region uri",
        "unit/test_operator_store_access.py": "credentials_secret_ref",
    },
    "StorageOverrides": {
        "unit/test_operator_pod_template.py": "credentials_secret_ref",
    },
    "TargetReference": {
        "unit/test_operator_searches.py": "name",
    },
    "Teacher": {
        "trainer/test_light.py": "temperature weight",
        "trainer/test_transfer.py": "transfer_rows",
    },
    "Trainer": {
        "unit/test_operator_jobs.py": "backoff_limit deadline_seconds",
        "unit/test_operator_outages.py": "image resources",
        "unit/test_operator_ranks.py": "device nodes",
        "unit/test_operator_pod_template.py": "pod_template",
        "unit/test_operator_queues.py": "queue_name",
        "unit/test_operator_gate.py": "max_concurrent_runs",
    },
    "TrainerOverrides": {
        "unit/test_operator_pod_template.py": "pod_template",
        "unit/test_operator_jobs.py": "resources",
    },
    "Training": {
        "trainer/test_adapt.py": "fine_tune_batch_size fine_tune_epochs fine_tune_learning_rate",
        "trainer/test_heavy_training.py": "batch_size epochs learning_rate seed",
    },
}
"""By model and file below tests: the fields whose effect is tested there."""
PASSED_ON = {
    "PodTemplate": (f"{OPERATOR}/kubernetes/children.py", "pod_spec"),
    "PullSecret": (f"{OPERATOR}/kubernetes/children.py", "pod_spec"),
    "Toleration": (f"{OPERATOR}/kubernetes/children.py", "pod_spec"),
    "Volume": (f"{OPERATOR}/kubernetes/children.py", "pod_spec"),
    "VolumeMount": (f"{OPERATOR}/kubernetes/children.py", "pod_spec"),
    "Resources": (f"{OPERATOR}/kubernetes/children.py", "container"),
}
"""Models that a function writes into a pod as they are, by `to_json_dict`."""
OTHERWISE = {
    ("HeavyModelSpec", "deletion_policy"): "read from the raw object: one that can't be understood is removed, too",
    ("ScenarioSpec", "deletion_policy"): "read from the raw object: one that can't be understood is removed, too",
    ("Objective", "metric"): "read by Objective.figure, which names the figure that ranks",
    ("Objective", "label"): "read by Objective.figure, which names the figure that ranks",
    ("TargetReference", "kind"): "has one value, and says to a reader of what kind the name is",
}
"""Fields that nothing reads by their name, and why."""


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from models_in(inner)


def fields_below(model: type[BaseModel], found: dict[str, set[str]]) -> dict[str, set[str]]:
    """By name of the model: its fields, for `model` and all that it holds."""
    if model.__name__ not in found:
        found[model.__name__] = set(model.model_fields)
        for field in model.model_fields.values():
            for inner in models_in(field.annotation):
                fields_below(inner, found)
    return found


def fields_of_specs() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for kind in KINDS:
        for spec in models_in(kind.model.model_fields["spec"].annotation):
            fields_below(spec, found)
    return found


FIELDS = fields_of_specs()


@cache
def attributes_in(module: str) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse((ROOT / module).read_text())) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("model", sorted(FIELDS))
def test_every_field_of_a_spec_has_its_reader(model: str):
    listed = {field for fields in READ_BY.get(model, {}).values() for field in fields.split()}
    listed |= {field for name, field in OTHERWISE if name == model}
    assert FIELDS[model] == listed or model in PASSED_ON


@pytest.mark.parametrize("model", sorted(READ_BY))
def test_what_is_said_to_read_a_field_reads_it(model: str):
    unread = {
        (module, field)
        for module, fields in READ_BY[model].items()
        for field in fields.split()
        if field not in attributes_in(module)
    }
    assert unread == set()


def says(text: str, field: str) -> bool:
    """Whether a test speaks of the field, in Python's or the API's spelling; a pure function is given no unit."""
    bare = field.removesuffix("_seconds")
    return any(re.search(rf"\b{name}\b", text) for name in (field, to_camel(field), bare))


@pytest.mark.parametrize("model", sorted(FIELDS.keys() - PASSED_ON.keys()))
def test_every_field_that_is_read_has_a_test_of_what_it_does(model: str):
    tested = {field for fields in TESTED_IN.get(model, {}).values() for field in fields.split()}
    assert FIELDS[model] - {field for name, field in OTHERWISE if name == model} <= tested
    assert tested <= FIELDS[model]
    silent = {
        (file, field)
        for file, fields in TESTED_IN.get(model, {}).items()
        for field in fields.split()
        if not says((ROOT / "tests" / file).read_text(), field)
    }
    assert silent == set()


@pytest.mark.parametrize("model", sorted(PASSED_ON))
def test_what_is_passed_on_is_passed_on_whole(model: str):
    module, function = PASSED_ON[model]
    [body] = [
        node
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    assert any(isinstance(node, ast.Attribute) and node.attr == "to_json_dict" for node in ast.walk(body))
