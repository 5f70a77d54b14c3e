"""What the three tables hold: `schema.yaml`, pasted as it is into `HeavyModel.spec.schema`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from longtail_api.base import ApiModel, ColumnName

ENTITY = "entity"
TIME = "time"
SCENARIO = "scenario"
SPLIT = "split"
WEIGHT = "weight"
RESERVED_COLUMNS = frozenset({ENTITY, TIME, SCENARIO, SPLIT, WEIGHT})


class LabelColumn(ApiModel):
    """One label of a sample. A null means not observed: the sample counts for its other labels only."""

    name: ColumnName
    """Column of the samples table."""
    type: Literal["binary", "regression"] = "binary"
    """binary: 0 or 1. regression: any number."""
    weight: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$", max_length=24)] = "1"
    """Weight of this label's loss, as a decimal string."""
    observed_when: ColumnName | None = None
    """Name of a binary label: this one counts only where that one is 1 (a conversion after a click)."""


class FeatureColumns(ApiModel):
    """The feature columns of one table."""

    categorical: Annotated[list[ColumnName], Field(max_length=512)] = []
    """Read as strings; what was not seen in training becomes the unknown category."""
    numeric: Annotated[list[ColumnName], Field(max_length=512)] = []
    """Read as floating-point numbers; normalized by the quantiles of training rows."""


class BehaviorSequence(FeatureColumns):
    """One behavior table: an entity's dated events."""

    name: ColumnName
    """Name of the sequence and of its table below the behaviors URI."""
    max_length: Annotated[int, Field(ge=1, le=512)] = 128
    """A sample gets its entity's last events, at most this many, strictly before its own time."""


class SplitRule(ApiModel):
    """How the samples of one scenario are divided."""

    method: Literal["column", "temporal", "random"] = "random"
    """column: the column `split` says train, validation or test. temporal: the latest rows are the test rows.
    random: by a hash of the row's identity."""
    test: Annotated[str, Field(pattern=r"^0\.[0-9]+$", max_length=12)] = "0.2"
    """Share of all rows, as a decimal string."""
    validation: Annotated[str, Field(pattern=r"^0\.[0-9]+$", max_length=12)] = "0.1"
    """Share of all rows, as a decimal string."""


AttributeValue = Annotated[str, Field(max_length=128)]
ScenarioName = Annotated[str, Field(max_length=253)]


class DataSchema(ApiModel):
    """Labels, features and split of the three-table form."""

    labels: Annotated[list[LabelColumn], Field(min_length=1, max_length=32)]
    """What is predicted; the first one is the primary label."""
    context: FeatureColumns = FeatureColumns()
    """Features of the samples table, known at the sample's time."""
    profile: FeatureColumns = FeatureColumns()
    """Features of the profile table."""
    behaviors: Annotated[list[BehaviorSequence], Field(max_length=16)] = []
    """Behavior sequences, each a table of its own."""
    split: SplitRule = SplitRule()
    scenario_attributes: Annotated[
        dict[ScenarioName, Annotated[dict[ColumnName, AttributeValue], Field(max_length=32)]], Field(max_length=4096)
    ] = {}
    """Attributes of a scenario by its key in the samples table."""

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        def check(table: str, names: list[str]) -> None:
            seen: set[str] = set()
            for name in names:
                if name in RESERVED_COLUMNS:
                    raise ValueError(f"{table}: column {name!r} is reserved; rename the feature")
                if name in seen:
                    raise ValueError(f"{table}: column {name!r} is named twice; remove one")
                seen.add(name)

        check("samples", [label.name for label in self.labels] + self.context.categorical + self.context.numeric)
        check("profile", self.profile.categorical + self.profile.numeric)
        for sequence in self.behaviors:
            check(f"behaviors/{sequence.name}", sequence.categorical + sequence.numeric)
        names = [sequence.name for sequence in self.behaviors]
        if len(set(names)) != len(names):
            raise ValueError("behaviors: two sequences have the same name; rename one")
        binary = {label.name for label in self.labels if label.type == "binary"}
        for label in self.labels:
            if label.observed_when is not None and (
                label.observed_when not in binary or label.observed_when == label.name
            ):
                raise ValueError(f"labels: observedWhen of {label.name!r} must name another binary label")
        if not (
            self.context.categorical
            or self.context.numeric
            or self.profile.categorical
            or self.profile.numeric
            or self.behaviors
        ):
            raise ValueError("the schema has no feature; name at least one under context, profile or behaviors")
        return self
