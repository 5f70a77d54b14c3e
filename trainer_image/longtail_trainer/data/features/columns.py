"""Names of the feature columns in prepared parts, in the order that every model reads them."""

from dataclasses import dataclass

from longtail_api.data_schema import BehaviorSequence, DataSchema


@dataclass(frozen=True)
class TableColumns:
    """Feature columns of one kind of input, named as in the parts (`profile.age`, `behaviors.clicks.price`)."""

    categorical: tuple[str, ...]
    numeric: tuple[str, ...]


def static_columns(schema: DataSchema) -> TableColumns:
    """One value a sample: the context features, then the profile features."""
    tables = (("context", schema.context), ("profile", schema.profile))
    return TableColumns(
        tuple(f"{table}.{name}" for table, columns in tables for name in columns.categorical),
        tuple(f"{table}.{name}" for table, columns in tables for name in columns.numeric),
    )


def sequence_columns(sequence: BehaviorSequence) -> TableColumns:
    """One value an event of the sequence."""
    prefix = f"behaviors.{sequence.name}"
    return TableColumns(
        tuple(f"{prefix}.{name}" for name in sequence.categorical),
        tuple(f"{prefix}.{name}" for name in sequence.numeric),
    )


def columns_by_vocabulary(schema: DataSchema) -> list[tuple[str, ...]]:
    """The categorical columns: those that share a vocabulary together, every other one by itself.

    In the order of the schema, that of the first column where several are together.
    """
    vocabulary_of = {column: name for name, columns in schema.shared_vocabularies.items() for column in columns}
    together: dict[str, list[str]] = {}
    for column in schema.categorical_features():
        # No column is called as a vocabulary is: columns have a dot.
        together.setdefault(vocabulary_of.get(column, column), []).append(column)
    return [tuple(columns) for columns in together.values()]
