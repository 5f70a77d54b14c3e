"""The three tables of a data set on disk: what is checked, how they are written and summed up."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import yaml

from longtail_api.data_schema import ENTITY, SCENARIO, TIME, DataSchema, FeatureColumns

UTC_TIME = pl.Datetime("us", "UTC")
SAMPLES = "samples.parquet"
PROFILE = "profile.parquet"
BEHAVIORS = "behaviors"
SCHEMA = "schema.yaml"
TRUTH = "truth.json"
TRUE_PROBABILITIES = "truth.parquet"
# All that a data set may consist of: --force removes these and nothing else.
OUTPUTS = (SAMPLES, PROFILE, BEHAVIORS, SCHEMA, TRUTH, TRUE_PROBABILITIES)
LONGEST_SCENARIO_NAME = 40


class InvalidInput(Exception):
    """What the caller gave cannot be used. The message says which file or column, and what to do."""


@dataclass(frozen=True)
class Tables:
    """A data set that fits in memory, as `write_tables` takes it."""

    schema: DataSchema
    samples: pl.DataFrame
    profile: pl.DataFrame
    behaviors: Mapping[str, pl.DataFrame] = field(default_factory=dict[str, pl.DataFrame])


def read_raw(raw: Path, name: str, columns: Sequence[str]) -> pl.DataFrame:
    """The named columns of `raw/name`; raises `InvalidInput` that names what is absent."""
    if not raw.is_dir():
        raise InvalidInput(f"{raw}: not a folder; give the folder that holds {name}")
    path = raw / name
    if not path.is_file():
        raise InvalidInput(f"{path}: no such file; download the data set, or give the folder that holds it")
    try:
        present = pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(f"{path}: not a Parquet file ({error}); download it again") from error
    absent = [column for column in columns if column not in present]
    if absent:
        raise InvalidInput(f"{path}: no column {', '.join(map(repr, absent))}; it has {', '.join(present)}")
    return pl.read_parquet(path, columns=list(columns))


def scenario_name(text: str) -> str:
    """`text` as a scenario key that is also a valid name of a Kubernetes resource (RFC 1035, 40 characters)."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not name[:1].isalpha():
        name = f"s-{name}".rstrip("-")
    return name[:LONGEST_SCENARIO_NAME].rstrip("-")


def scenario_names(texts: Sequence[str], column: str) -> dict[str, str]:
    """`scenario_name` of each text; raises `InvalidInput` where two become the same."""
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    for text in sorted(set(texts)):
        name = scenario_name(text)
        if name in taken:
            raise InvalidInput(
                f"column {column!r}: {taken[name]!r} and {text!r} would both become scenario {name!r}; rename one"
            )
        names[text] = name
        taken[name] = text
    return names


def open_output(out: Path, force: bool) -> None:
    """Make `out` a folder without a data set. Raises `InvalidInput` where it holds anything and not `force`."""
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out}: is a file; give a folder to write to")
    if out.is_dir() and any(out.iterdir()):
        if not force:
            raise InvalidInput(f"{out}: not empty; give an empty folder, or --force to replace the data set in it")
        for name in OUTPUTS:
            path = out / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{out}: cannot be made ({error}); give a folder that can be written") from error


def _named(features: FeatureColumns) -> list[str]:
    return [*features.categorical, *features.numeric]


def check_table(name: str, table: pl.DataFrame, keys: Sequence[str], features: FeatureColumns) -> None:
    """Raise `InvalidInput` unless the table has its keys without nulls, UTC times, and its features."""
    for column in [*keys, *_named(features)]:
        if column not in table.columns:
            raise InvalidInput(f"{name}: no column {column!r}; the schema names it")
    for key in keys:
        rows = table[key].is_null().arg_true().head(3).to_list()
        if rows:
            raise InvalidInput(
                f"{name}: column {key!r} has {table[key].null_count()} nulls (rows {', '.join(map(str, rows))}…); "
                "every row needs one"
            )
    for key in keys:
        expected = UTC_TIME if key == TIME else pl.String
        if table.schema[key] != expected:
            raise InvalidInput(f"{name}: column {key!r} is {table.schema[key]}; make it {expected}")
    for column in features.categorical:
        if table.schema[column] != pl.String:
            raise InvalidInput(f"{name}: categorical column {column!r} is {table.schema[column]}; make it a string")
    for column in features.numeric:
        if not table.schema[column].is_numeric():
            raise InvalidInput(f"{name}: numeric column {column!r} is {table.schema[column]}; make it a number")


def check_tables(tables: Tables) -> None:
    """Raise `InvalidInput` unless the tables are what their schema says."""
    schema = tables.schema
    check_table(SAMPLES, tables.samples, [SCENARIO, ENTITY, TIME], schema.context)
    labels = [label.name for label in schema.labels]
    for label in labels:
        if label not in tables.samples.columns:
            raise InvalidInput(f"{SAMPLES}: no column {label!r}; the schema names it as a label")
    timed = [ENTITY, TIME] if TIME in tables.profile.columns else [ENTITY]
    check_table(PROFILE, tables.profile, timed, schema.profile)
    named = {sequence.name: sequence for sequence in schema.behaviors}
    if set(named) != set(tables.behaviors):
        raise InvalidInput(f"{BEHAVIORS}: the schema names {sorted(named)}, the tables are {sorted(tables.behaviors)}")
    for name, sequence in named.items():
        check_table(f"{BEHAVIORS}/{name}.parquet", tables.behaviors[name], [ENTITY, TIME], sequence)
    features = [schema.context, schema.profile, *schema.behaviors]
    profile_and_context = {column for part in features[:2] for column in _named(part)}
    for label in labels:
        if label in profile_and_context:
            raise InvalidInput(f"{SAMPLES}: {label!r} is a label and a feature; remove the feature")


def write_schema(schema: DataSchema, out: Path) -> None:
    (out / SCHEMA).write_text(yaml.safe_dump(schema.to_json_dict(), sort_keys=False, allow_unicode=True))


def write_tables(tables: Tables, out: Path) -> None:
    """Write the checked tables and `schema.yaml` into the folder `out`."""
    check_tables(tables)
    tables.samples.write_parquet(out / SAMPLES)
    tables.profile.write_parquet(out / PROFILE)
    if tables.behaviors:
        (out / BEHAVIORS).mkdir(exist_ok=True)
    for name, events in tables.behaviors.items():
        events.write_parquet(out / BEHAVIORS / f"{name}.parquet")
    write_schema(tables.schema, out)


def summary(schema: DataSchema, samples: pl.DataFrame) -> pl.DataFrame:
    """One row per scenario, largest first: rows, and per binary label the observed positives."""
    positives = [
        pl.col(label.name).cast(pl.Float64).sum().cast(pl.Int64).alias(label.name)
        for label in schema.labels
        if label.type == "binary"
    ]
    return (
        samples.group_by(SCENARIO)
        .agg(pl.len().cast(pl.Int64).alias("rows"), *positives)
        .sort(["rows", SCENARIO], descending=[True, False])
    )


def table_text(table: pl.DataFrame) -> str:
    """A table as aligned text, numbers to the right, floats with four digits."""
    cells = [
        [f"{value:.4f}" if isinstance(value, float) else "–" if value is None else str(value) for value in row]
        for row in table.rows()
    ]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(table.columns)]
    right = [table.schema[name].is_numeric() for name in table.columns]

    def line(values: Sequence[str]) -> str:
        return "  ".join(
            value.rjust(width) if numeric else value.ljust(width)
            for value, width, numeric in zip(values, widths, right, strict=True)
        ).rstrip()

    return "\n".join([line(table.columns), line(["-" * width for width in widths]), *map(line, cells)])
