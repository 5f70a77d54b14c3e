"""Every type by every writer: read as it was written, or refused by table, file and column."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainer.parquet_matrix import COLUMN, DOCS, ROWS, WRITERS, cell, matrix, with_matrix


@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_not_read_is_refused_by_table_file_and_column(writer: str, tmp_path: Path):
    said = [message for found, message in (cell(writer, of, tmp_path) for of in ROWS) if found == "refused"]
    assert said
    for message in said:
        assert message.startswith(f"samples ({tmp_path.as_uri()}): column '{COLUMN}' of part.parquet is ")


def test_the_table_in_the_docs_is_what_is_found(tmp_path: Path):
    """Made anew by `python -m tests.trainer.parquet_matrix`."""
    page = DOCS.read_text()
    assert with_matrix(page, matrix(tmp_path)) == page


@pytest.mark.parametrize(("writer", "name"), [("Spark*", "parquet-mr"), ("Impala*", "impala")])
def test_files_of_writers_that_are_not_at_hand_bear_their_names(writer: str, name: str, tmp_path: Path):
    WRITERS[writer](pa.table({COLUMN: ["a"]}), tmp_path / "a.parquet")
    assert pq.read_metadata(tmp_path / "a.parquet").created_by.startswith(name)
