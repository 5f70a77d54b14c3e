"""Which feature columns a served model reads, where they stand in a batch, and their values."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from longtail_api.data_schema import DataSchema
from longtail_trainer.data.batches import Batch
from longtail_trainer.data.features.columns import TableColumns, sequence_columns, static_columns
from longtail_trainer.running.errors import ConfigInvalid


@dataclass(frozen=True)
class SelectedColumns:
    """Columns of one table that the model reads.

    categorical, numeric: names as in the parts (`profile.age`); `*_positions`: their columns in the batch.
    columns: numeric columns the batch has, selected or not (null indicators stand behind all values).
    """

    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    categorical_positions: tuple[int, ...]
    numeric_positions: tuple[int, ...]
    columns: int

    @property
    def numeric_inputs(self) -> list[int]:
        """Columns of the batch's numeric tensor: the selected values, then their null indicators."""
        return [*self.numeric_positions, *(position + self.columns for position in self.numeric_positions)]


@dataclass(frozen=True)
class LightColumns:
    """All that a model reads: the static columns, and those of each sequence it encodes, by name."""

    static: SelectedColumns
    sequences: dict[str, SelectedColumns]

    @property
    def categorical(self) -> list[str]:
        """The categorical columns, those of all tables."""
        return [column for table in (self.static, *self.sequences.values()) for column in table.categorical]


@dataclass
class ColumnInputs:
    """The selected columns of one table: int64 (…) per categorical one, float32 (…, 2 × numeric ones).

    mask: (batch, length) for a sequence, else None.
    """

    categorical: list[Tensor]
    numeric: Tensor
    mask: Tensor | None = None


def light_columns(schema: DataSchema, names: Sequence[str] = ()) -> LightColumns:
    """The columns that `names` selects; all of them where it is empty.

    A name is a feature's (`age`: wherever a table has it; `profile.age`: there alone) or a behavior sequence's (all
    of its features). A sequence none of whose features is selected is not read at all.
    Raises `ConfigInvalid` for a name that the schema doesn't have.
    """
    wanted = set(names)
    used: set[str] = set()

    def select(table: TableColumns, sequence: str | None = None) -> SelectedColumns:
        def positions(columns: tuple[str, ...]) -> tuple[int, ...]:
            found: list[int] = []
            for position, column in enumerate(columns):
                matches = {column, column.rpartition(".")[2], sequence or column} & wanted
                used.update(matches)
                if not wanted or matches:
                    found.append(position)
            return tuple(found)

        categorical, numeric = positions(table.categorical), positions(table.numeric)
        return SelectedColumns(
            tuple(table.categorical[position] for position in categorical),
            tuple(table.numeric[position] for position in numeric),
            categorical,
            numeric,
            len(table.numeric),
        )

    static = select(static_columns(schema))
    sequences: dict[str, SelectedColumns] = {}
    for sequence in schema.behaviors:
        selected = select(sequence_columns(sequence), sequence.name)
        if selected.categorical or selected.numeric:
            sequences[sequence.name] = selected
    if unknown := sorted(wanted - used):
        raise ConfigInvalid(f"light.features: the schema has no feature or sequence {', '.join(unknown)}; correct it")
    return LightColumns(static, sequences)


def batch_inputs(columns: LightColumns, batch: Batch) -> tuple[ColumnInputs, list[ColumnInputs]]:
    """The static columns of a batch, and those of each sequence, in the order of `columns.sequences`."""
    sequences: list[ColumnInputs] = []
    for name, of_sequence in columns.sequences.items():
        events = batch.sequences[name]
        sequences.append(_selected(of_sequence, events.categorical, events.numeric, events.mask))
    return _selected(columns.static, batch.categorical, batch.numeric), sequences


def _selected(
    columns: SelectedColumns, categorical: Tensor, numeric: Tensor, mask: Tensor | None = None
) -> ColumnInputs:
    inputs = columns.numeric_inputs
    every = inputs == list(range(numeric.shape[-1]))
    return ColumnInputs(
        [categorical[..., position] for position in columns.categorical_positions],
        numeric if every else numeric[..., inputs],
        mask,
    )
