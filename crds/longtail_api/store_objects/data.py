"""Prepared data of a scenario, its statistics, and the features that follow from a pool's."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field

from longtail_api.base import ApiModel, Sha256, StoreObject
from longtail_api.data_schema import DataSchema

Split = Literal["support", "query", "validation", "test"]
SPLITS: tuple[Split, ...] = ("support", "query", "validation", "test")
TRAINING_SPLITS: tuple[Split, ...] = ("support", "query")
"""Rows that statistics may be fitted on."""


def _without_attributes(content: dict[str, Any]) -> dict[str, Any]:
    """A schema once held attributes of scenarios, which nothing read."""
    schema = content.get("schema")
    if not isinstance(schema, dict):
        return content
    known = cast("dict[str, Any]", schema)
    return content | {"schema": {name: value for name, value in known.items() if name != "scenarioAttributes"}}


class DataPart(ApiModel):
    """One Parquet file of prepared samples."""

    key: str
    split: Split
    rows: int
    sha256: Sha256
    bytes: int


class Manifest(StoreObject):
    """`data/<scenario>/<version>/manifest.json`: written last, so its presence means the version is whole.

    A part's columns: `entity`, `time`, `weight`, each label (float, null = not observed), `context.<name>`,
    `profile.<name>`, and `behaviors.<sequence>.<name>` (lists, oldest first, all of one sequence equally
    long) and `behaviors.<sequence>:length` (int). Raw typed values: strings for categorical, floats for numeric.
    """

    schema_version: int = 2
    scenario: str
    version: str
    source_key: str
    """Value of the scenario column in the samples table."""
    data_schema: Annotated[DataSchema, Field(alias="schema")]
    parts: list[DataPart]
    rows: dict[str, int]
    """Rows by split."""
    positives: dict[str, dict[str, int]]
    """Rows with value 1, by split and binary label."""
    statistics_sha256: Sha256
    one_class: list[str] = []
    """Binary labels of which the training rows hold one class: nothing is to be learned about them here."""
    unobserved: list[str] = []
    """Labels that no training row observes: of them neither."""
    shared_entities: int = 0
    """Entities with rows for training and for test: what is remembered of them helps in the test, and nowhere else."""
    entities: int = 0
    """Entities of the samples."""
    joined: dict[str, int] = {}
    """How many of them each other table knows, by the table's name."""
    unjoined: list[str] = []
    """A sentence for each table that has rows, and knows none or few of them."""
    sampled_columns: dict[str, float] = {}
    """Categorical columns with more values than are counted, and the share of rows that were counted instead."""
    first_time: datetime | None = None
    last_time: datetime | None = None

    @property
    def training_fingerprint(self) -> str:
        """Hash of the training rows: the same in two data versions of one scenario exactly where these rows are."""
        parts = [f"{part.split} {part.sha256}" for part in self.parts if part.split in TRAINING_SPLITS]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @classmethod
    def from_previous(cls, content: dict[str, Any]) -> dict[str, Any]:
        return _without_attributes(content)


def _halved(rows: Any) -> Any:
    """A single count as schemaVersion 1 has it, as one by leading zeros: each list has half of what is left."""
    if not isinstance(rows, int):
        return rows
    by_zeros: list[int] = []
    while rows:
        by_zeros.append(rows - rows // 2)
        rows //= 2
    return by_zeros


class Moments(ApiModel):
    """Exact sums of one column: each is that of its list, whose numbers are the sum rounded to float64, what is left of
    it rounded, and so on. So sums merge to the same bits in any order.
    """

    values: list[float]
    """Of the values as float32."""
    squares: list[float]


class NumericStatistics(ApiModel):
    """Mergeable statistics of one numeric column: counts, moments and a bounded quantile sketch."""

    count: int = 0
    nulls: int = 0
    minimum: float | None = None
    maximum: float | None = None
    moments: Moments | None = None
    """None without a value, and where some of the values come from a schemaVersion that had no moments."""
    sample: list[float] = []
    """The values with the smallest hashes (bottom-k of row identity): mergeable, unbiased, at most 8,192."""
    sample_keys: list[int] = []
    """Hash of each sampled value's row, ascending."""


class CategoricalStatistics(ApiModel):
    """Mergeable statistics of one categorical column: exact counts, or, beyond 65,536 values, those of a share of rows.

    Where there are more values, only rows whose hash (63 bits) begins with `halvings` zeros are counted, for the
    least number of halvings that leaves 65,536 values at most: a value stays the likelier, the more frequent it is.
    """

    count: int = 0
    """Rows with a value, counted or not."""
    nulls: int = 0
    halvings: int = 0
    """Each halves the share of rows that are counted: about 2^−halvings of them. 0: all are."""
    counts: dict[str, Annotated[list[int], BeforeValidator(_halved)]] = {}
    """Counted rows by value, those of a value by the zeros that their hash begins with, from `halvings` zeros on: what
    is left after another halving is the list without its first number. The last number isn't 0."""

    def estimates(self) -> dict[str, int]:
        """Rows by value: exact without halvings, else estimated, without bias."""
        return {value: sum(by_zeros) << self.halvings for value, by_zeros in self.counts.items()}


class Statistics(StoreObject):
    """`statistics.json`: of the training rows (support and query) of one data version.

    schemaVersion 1 had no moments, and one count a value: of the most frequent 65,536.
    """

    schema_version: int = 2

    rows: int = 0
    numeric: dict[str, NumericStatistics] = {}
    """By column, named as in the parts: `profile.age`, `behaviors.clicks.price`."""
    categorical: dict[str, CategoricalStatistics] = {}
    labels: dict[str, NumericStatistics] = {}


class Features(StoreObject):
    """`agnostic/features/<sha256>.json`: how raw values become numbers, for every model of a generation.

    Index 0 of a vocabulary is the unknown category and stands for null too; `vocabulary[i]` has index i + 1.
    A numeric value v becomes (clip(v, low, high) − center) / scale, and a null becomes 0 beside an
    indicator of 1.
    """

    schema_version: int = 2
    data_schema: Annotated[DataSchema, Field(alias="schema")]
    vocabularies: dict[str, list[str]]
    numeric: dict[str, "NumericEncoding"]
    labels: dict[str, "NumericEncoding"] = {}
    """Of regression labels: models predict (v − center) / scale, unclipped."""

    @classmethod
    def from_previous(cls, content: dict[str, Any]) -> dict[str, Any]:
        return _without_attributes(content)


class NumericEncoding(ApiModel):
    """Normalization of one numeric column, from quantiles of the pool's training rows."""

    low: float
    high: float
    center: float
    scale: Annotated[float, Field(gt=0)]
    edges: list[float] = []
    """Of the bins that models cut the normalized values into, ascending; none where the values have no spread."""
