"""The three kinds as whole resources: names, root rules, printer columns. crdgen and the docs read them."""

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from longtail_api.base import ApiModel
from longtail_api.heavy_model import HeavyModelSpec, HeavyModelStatus
from longtail_api.light_model_search import LightModelSearchSpec, LightModelSearchStatus
from longtail_api.rules import Rule, immutable
from longtail_api.scenario import SCENARIO_NAME_LIMIT, ScenarioSpec, ScenarioStatus

NAME_LIMITS = {"HeavyModel": 63, "Scenario": SCENARIO_NAME_LIMIT, "LightModelSearch": 63}
"""A name becomes a label's value; a Scenario's also the beginning of its children's names."""
NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""DNS-1035: what a Service may be called."""


def name_words(limit: int) -> str:
    return (
        f"must have at most {limit} characters, lower-case letters, digits and '-', and start with a letter, "
        "so that Jobs and Services can be named after it; shorten or change the name"
    )


def _name_rule(kind: str) -> Rule:
    limit = NAME_LIMITS[kind]
    cel = f"self.metadata.name.size() <= {limit} && self.metadata.name.matches(r'{NAME_PATTERN}')"
    return Rule(cel, name_words(limit), "metadata.name")


class Metadata(ApiModel):
    """What is read of a resource's metadata."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(max_length=253)]
    namespace: Annotated[str, Field(max_length=63)] | None = None


class Resource(ApiModel):
    """What the three kinds have in common."""

    api_version: Literal["longtail.dev/v1alpha1"] = "longtail.dev/v1alpha1"
    metadata: Metadata

    @model_validator(mode="after")
    def _name_fits(self) -> Self:
        limit = NAME_LIMITS[type(self).__name__]
        if len(self.metadata.name) > limit or not re.fullmatch(NAME_PATTERN, self.metadata.name):
            raise ValueError(f"metadata.name {name_words(limit)}")
        return self


_STAYS = "the store stays where its objects are; for another one create another HeavyModel"
# A status from before there was storeClaimed may have a version alone.
_CLAIMED = "has(oldSelf.status) && (oldSelf.status.storeClaimed || has(oldSelf.status.version))"


class HeavyModel(Resource):
    """The shared, scenario-agnostic model: trained on a pool of scenarios, improved by the feedback of every scenario
    run, and the start of each scenario's own model."""

    rules: ClassVar = (
        _name_rule("HeavyModel"),
        immutable("spec.storage.uri", _STAYS, once=_CLAIMED),
        immutable("spec.storage.endpoint", _STAYS, optional=True, once=_CLAIMED),
    )

    kind: Literal["HeavyModel"] = "HeavyModel"
    spec: HeavyModelSpec
    """What the shared model is and how it is kept up to date."""
    status: HeavyModelStatus | None = None
    """What the operator observed."""


class Scenario(Resource):
    """One long-tail scenario: its rows are prepared, the shared model is adapted to them, a light model is searched
    inside the budget, and served under its service level objective."""

    rules: ClassVar = (_name_rule("Scenario"),)

    kind: Literal["Scenario"] = "Scenario"
    spec: ScenarioSpec
    """One scenario: its rows, its budget, how it is served."""
    status: ScenarioStatus | None = None
    """What the operator observed."""


class LightModelSearch(Resource):
    """One search for a light architecture inside a budget. Created for its target by the operator, or by a person;
    nothing consumes a person's result unasked."""

    rules: ClassVar = (_name_rule("LightModelSearch"),)

    kind: Literal["LightModelSearch"] = "LightModelSearch"
    spec: LightModelSearchSpec
    """One search. Everything but suspend is immutable."""
    status: LightModelSearchStatus | None = None
    """What the operator observed."""


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`. Priority 1 shows with `-o wide` only."""

    name: str
    path: str
    type: Literal["string", "integer", "date", "boolean"] = "string"
    priority: Literal[0, 1] = 0


def _condition(name: str, type_: str, part: str = "status", priority: Literal[0, 1] = 0) -> Column:
    return Column(name, f'.status.conditions[?(@.type=="{type_}")].{part}', priority=priority)


_READY = (_condition("Ready", "Ready"), _condition("Reason", "Ready", "reason"))
_MESSAGE = _condition("Message", "Ready", "message", priority=1)
_AGE = Column("Age", ".metadata.creationTimestamp", "date")


@dataclass(frozen=True)
class Kind:
    """What a CustomResourceDefinition needs beside the schema."""

    model: type[HeavyModel] | type[Scenario] | type[LightModelSearch]
    plural: str
    short_name: str
    columns: tuple[Column, ...]
    example: str
    """File below manifests/examples that the docs show."""

    @property
    def name(self) -> str:
        return self.model.__name__

    @property
    def singular(self) -> str:
        return self.name.lower()


KINDS = (
    Kind(
        HeavyModel,
        "heavymodels",
        "hm",
        (
            *_READY,
            Column("Version", ".status.version.number", "integer"),
            Column("Generation", ".status.version.generation", "integer", priority=1),
            Column("Scenarios", ".status.scenarios", "integer"),
            Column("Folded", ".status.feedback.folded", "integer"),
            Column("Pending", ".status.feedback.pending", "integer"),
            Column("Rejected", ".status.feedback.rejected", "integer", priority=1),
            Column("AUC", ".status.auc"),
            _condition("Store", "StoreReady", priority=1),
            _MESSAGE,
            _AGE,
        ),
        "heavy-model.yaml",
    ),
    Kind(
        Scenario,
        "scenarios",
        "scn",
        (
            *_READY,
            Column("Model", ".spec.heavyModelRef.name"),
            Column("Run", ".status.run.number", "integer"),
            Column("Step", ".status.run.step"),
            Column("Outcome", ".status.run.outcome"),
            Column("Serving", ".status.serving.stable"),
            Column("AUC", ".status.metrics.light.auc"),
            Column("FLOPs", ".status.metrics.light.flops", "integer"),
            _condition("Rolled-Out", "RolledOut", "reason"),
            Column("URL", ".status.serving.url", priority=1),
            _MESSAGE,
            _AGE,
        ),
        "scenario.yaml",
    ),
    Kind(
        LightModelSearch,
        "lightmodelsearches",
        "lms",
        (
            _condition("Complete", "Complete"),
            *_READY,
            Column("Target", ".spec.targetRef.name"),
            Column("Algorithm", ".spec.algorithm.name"),
            Column("Trials", ".status.trials.completed", "integer"),
            Column("Best", ".status.best.metric"),
            Column("FLOPs", ".status.best.flops", "integer"),
            _condition("Failed", "Failed", priority=1),
            _MESSAGE,
            _AGE,
        ),
        "search.yaml",
    ),
)
