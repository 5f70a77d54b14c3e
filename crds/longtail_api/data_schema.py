"""What the three tables hold: `schema.yaml`, pasted as it is into `HeavyModel.spec.schema`."""

from decimal import Decimal
from operator import not_
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from longtail_api.base import ApiModel, ColumnName
from longtail_api.rules import Rule, comparing
from longtail_api.values import Distinct, Number, Text

ENTITY = "entity"
TIME = "time"
SCENARIO = "scenario"
SPLIT = "split"
WEIGHT = "weight"
RESERVED_COLUMNS = frozenset({ENTITY, TIME, SCENARIO, SPLIT, WEIGHT})
_RESERVED_CEL = "[" + ", ".join(f"'{name}'" for name in sorted(RESERVED_COLUMNS)) + "]"
_RESERVED_WORDS = ", ".join(sorted(RESERVED_COLUMNS))
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
FeatureName = Annotated[
    str,
    Text(
        rf"^(context|profile|behaviors\.{_NAME})\.{_NAME}$",
        "a feature with its table: context.item, profile.city or behaviors.clicks.item",
        137,
    ),
]
"""A feature column and where it is, as in prepared parts."""


def length_column(sequence: str) -> str:
    """Column of prepared parts, and input of a served model: how many events of the sequence a sample has.

    A name of the user's has no colon, so what we name ourselves, here and wherever a column of ours stands beside
    theirs, has one.
    """
    return f"behaviors.{sequence}:length"


def earlier_length_column(sequence: str) -> str:
    """The same in data and models made before it had a colon; their sequences have no feature `length`."""
    return length_column(sequence).replace(":", ".")


class LabelColumn(ApiModel):
    """One label of a sample. A null means not observed: the sample counts for its other labels only."""

    rules: ClassVar = (
        Rule(f"!(self.name in {_RESERVED_CEL})", f"{_RESERVED_WORDS} are reserved columns; rename the label", "name"),
    )

    name: ColumnName
    """Column of the samples table."""
    type: Literal["binary", "regression"] = "binary"
    """binary: 0 or 1. regression: any number."""
    weight: Annotated[Decimal, Number(gt="0", le="1000000")] = Decimal("1")
    """Weight of this label's loss."""
    observed_when: ColumnName | None = None
    """Name of a binary label: this one counts only where that one is 1 (a conversion after a click)."""


class FeatureColumns(ApiModel):
    """The feature columns of one table."""

    rules: ClassVar = (
        Rule(
            f"!self.categorical.exists(name, name in {_RESERVED_CEL})",
            f"{_RESERVED_WORDS} are reserved columns; rename the feature",
            "categorical",
        ),
        Rule(
            f"!self.numeric.exists(name, name in {_RESERVED_CEL})",
            f"{_RESERVED_WORDS} are reserved columns; rename the feature",
            "numeric",
        ),
        Rule(
            "!self.numeric.exists(name, name in self.categorical)",
            "a column is both categorical and numeric; keep it in one of the two",
            "numeric",
        ),
    )

    categorical: Annotated[list[ColumnName], Field(max_length=512), Distinct()] = []
    """Read as strings; what was not seen in training becomes the unknown category."""
    numeric: Annotated[list[ColumnName], Field(max_length=512), Distinct()] = []
    """Read as floating-point numbers; normalized by the quantiles of training rows."""


class BehaviorSequence(FeatureColumns):
    """One behavior table: an entity's dated events."""

    rules: ClassVar = (
        Rule(
            "size(self.categorical) + size(self.numeric) > 0",
            "the sequence has no feature; name at least one categorical or numeric column",
        ),
    )

    name: ColumnName
    """Name of the sequence and of its table below the behaviors URI."""
    max_length: Annotated[int, Field(ge=1, le=512)] = 128
    """A sample gets its entity's last events, at most this many, strictly before its own time."""


class SplitRule(ApiModel):
    """How the samples of one scenario are divided."""

    rules: ClassVar = (
        Rule(
            comparing("{test}.add({validation}).isLessThan(quantity('1'))", "test", "validation"),
            "test and validation leave no row for training; together they must be less than 1",
            "validation",
        ),
    )

    method: Literal["column", "temporal", "random", "entity"] = "random"
    """column: the column `split` says train, validation or test. temporal: the latest rows are the test rows.
    random: by a hash of the row's identity. entity: by a hash of the entity, whose rows are all in one of training,
    validation and test, the same in every scenario."""
    test: Annotated[Decimal, Number(gt="0", lt="1")] = Decimal("0.2")
    """Share of all rows that become test rows (method entity: of entities); not used with method column."""
    validation: Annotated[Decimal, Number(gt="0", lt="1")] = Decimal("0.1")
    """Share of all rows that become validation rows (method entity: of entities); not used with method column."""

    @model_validator(mode="after")
    def _rows_are_left_for_training(self) -> Self:
        if self.test + self.validation >= 1:
            raise ValueError("test and validation leave no row for training; together they must be less than 1")
        return self


class DataSchema(ApiModel):
    """Labels, features and split of the three-table form."""

    rules: ClassVar = (
        Rule(
            "self.labels.all(label, self.labels.exists_one(other, other.name == label.name))",
            "two labels have the same name; rename or remove one",
            "labels",
        ),
        Rule(
            "!self.labels.exists(label, label.name in self.context.categorical || label.name in self.context.numeric)",
            "a label is also named as a context feature; remove it from context, or the model would read its answer",
            "context",
        ),
        Rule(
            "self.labels.all(label, !has(label.observedWhen) || self.labels.exists(other, "
            "other.name == label.observedWhen && other.name != label.name && other.type == 'binary'))",
            "observedWhen must name another label, of type binary; correct the name or remove observedWhen",
            "labels",
        ),
        Rule(
            "self.behaviors.all(sequence, self.behaviors.exists_one(other, other.name == sequence.name))",
            "two behavior sequences have the same name; rename one",
            "behaviors",
        ),
        Rule(
            "size(self.context.categorical) + size(self.context.numeric) + size(self.profile.categorical) "
            "+ size(self.profile.numeric) + size(self.behaviors) > 0",
            "the schema has no feature; name at least one under context, profile or behaviors",
        ),
        Rule(
            "self.sharedVocabularies.all(name, self.sharedVocabularies[name].all(column, "
            "(column.startsWith('context.') && column.substring(8) in self.context.categorical) || "
            "(column.startsWith('profile.') && column.substring(8) in self.profile.categorical) || "
            "self.behaviors.exists(sequence, column.startsWith('behaviors.' + sequence.name + '.') && "
            "column.substring(11 + size(sequence.name)) in sequence.categorical)))",
            "names a column that is no categorical feature of the schema; correct it, or add the feature to its table",
            "sharedVocabularies",
        ),
        Rule(
            "self.sharedVocabularies.all(name, self.sharedVocabularies.all(other, name == other || "
            "!self.sharedVocabularies[name].exists(column, column in self.sharedVocabularies[other])))",
            "a column is in two vocabularies; keep it in one, or merge the two",
            "sharedVocabularies",
        ),
    )

    labels: Annotated[list[LabelColumn], Field(min_length=1, max_length=32)]
    """What is predicted; the first one is the primary label."""
    context: FeatureColumns = FeatureColumns()
    """Features of the samples table, known at the sample's time."""
    profile: FeatureColumns = FeatureColumns()
    """Features of the profile table."""
    behaviors: Annotated[list[BehaviorSequence], Field(max_length=16)] = []
    """Behavior sequences, each a table of its own."""
    shared_vocabularies: Annotated[
        dict[ColumnName, Annotated[list[FeatureName], Field(min_length=2, max_length=16), Distinct()]],
        # Left out where there is none: hashes of schemas from before there were any stay as they are.
        Field(max_length=16, exclude_if=not_),
    ] = {}
    """Categorical features that hold the same things, by a name of your choice, such as `item: [context.item,
    behaviors.clicks.item]`: they have one vocabulary, counted over all of them, and one embedding."""
    split: SplitRule = SplitRule()

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
            if not sequence.categorical + sequence.numeric:
                raise ValueError(f"behaviors/{sequence.name}: the sequence has no feature; name at least one column")
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

    @model_validator(mode="after")
    def _shared_vocabularies_are_of_categorical_features(self) -> Self:
        known = self.categorical_features()
        seen: dict[str, str] = {}
        for name, columns in self.shared_vocabularies.items():
            for column in columns:
                if column not in known:
                    raise ValueError(
                        f"sharedVocabularies.{name}: {column} is no categorical feature of the schema; "
                        "correct it, or add the feature to its table"
                    )
                if column in seen:
                    raise ValueError(
                        f"sharedVocabularies.{name}: {column} is also in {seen[column]}; "
                        "keep it in one, or merge the two"
                    )
                seen[column] = name
        return self

    def relates_candidate_and_history(self) -> bool:
        """Whether a context feature shares a vocabulary with one of a behavior sequence."""
        return any(
            any(column.startswith("context.") for column in columns)
            and any(column.startswith("behaviors.") for column in columns)
            for columns in self.shared_vocabularies.values()
        )

    def categorical_features(self) -> list[FeatureName]:
        """Context, profile, then one sequence after the other: the order in which models read them."""
        tables = [("context", self.context), ("profile", self.profile)]
        tables += [(f"behaviors.{sequence.name}", sequence) for sequence in self.behaviors]
        return [f"{table}.{name}" for table, columns in tables for name in columns.categorical]
