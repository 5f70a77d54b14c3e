"""Census-Income (KDD): income over 50,000 and never married, from 38 columns, per major industry.

UCI Machine Learning Repository, Census-Income (KDD). A scenario is a major industry (`c8`), an entity one record; the
records have no date but their survey year, which is the sample's time. The instance weight (`c24`) says how many
people a record stands for; it is neither a feature nor a weight of the loss, as in published results on this task.
A `?` in the file is a null.
"""

from decimal import Decimal
from pathlib import Path

import polars as pl

from benchmarks.datasets.tables import UTC_TIME, InvalidInput, Tables, read_raw, scenario_names
from longtail_api.data_schema import DataSchema, FeatureColumns, LabelColumn, SplitRule

FILE = "census.parquet"
INDUSTRY, MARITAL, WEIGHT, YEAR, INCOME = "c8", "c7", "c24", "c40", "c41"
INCOMES = {"- 50000.": 0, "50000+.": 1}
MISSING = "?"
# The order of the published description; the files have no header.
NUMERIC = {
    "c0": "age",
    "c5": "wage_per_hour",
    "c16": "capital_gains",
    "c17": "capital_losses",
    "c18": "dividends",
    "c30": "persons_worked_for_employer",
    "c39": "weeks_worked_in_year",
}
CATEGORICAL = {
    "c1": "class_of_worker",
    "c2": "detailed_industry",
    "c3": "detailed_occupation",
    "c4": "education",
    "c6": "enrolled_in_education",
    "c9": "major_occupation",
    "c10": "race",
    "c11": "hispanic_origin",
    "c12": "sex",
    "c13": "union_member",
    "c14": "reason_for_unemployment",
    "c15": "full_or_part_time",
    "c19": "tax_filer_status",
    "c20": "region_of_previous_residence",
    "c21": "state_of_previous_residence",
    "c22": "detailed_household_and_family_status",
    "c23": "detailed_household_summary",
    "c25": "migration_code_msa",
    "c26": "migration_code_region",
    "c27": "migration_within_region",
    "c28": "lived_in_this_house_one_year_ago",
    "c29": "previous_residence_in_sunbelt",
    "c31": "family_members_under_18",
    "c32": "country_of_birth_of_father",
    "c33": "country_of_birth_of_mother",
    "c34": "country_of_birth_of_self",
    "c35": "citizenship",
    "c36": "own_business",
    "c37": "veteran_questionnaire",
    "c38": "veterans_benefits",
    "c40": "year",
}

SCHEMA = DataSchema(
    labels=[LabelColumn(name="income"), LabelColumn(name="never_married")],
    profile=FeatureColumns(categorical=list(CATEGORICAL.values()), numeric=list(NUMERIC.values())),
    split=SplitRule(method="random", test=Decimal("0.2"), validation=Decimal("0.1")),
)


def tables(raw: Path) -> Tables:
    people = read_raw(raw, FILE, [INDUSTRY, MARITAL, INCOME, *NUMERIC, *CATEGORICAL])
    unknown = sorted(set(people[INCOME].unique().to_list()) - set(INCOMES))
    if unknown:
        raise InvalidInput(f"{raw / FILE}: column {INCOME!r} holds {unknown[0]!r}; expected {sorted(INCOMES)}")
    names = scenario_names(people[INDUSTRY].to_list(), INDUSTRY)
    people = people.with_row_index("row").with_columns(
        entity=pl.format("p{}", pl.col("row").cast(pl.String).str.zfill(6))
    )
    samples = people.select(
        pl.col(INDUSTRY).replace_strict(names, return_dtype=pl.String).alias("scenario"),
        "entity",
        pl.datetime(1900 + pl.col(YEAR), 1, 1, time_zone="UTC", time_unit="us").cast(UTC_TIME).alias("time"),
        pl.col(INCOME).replace_strict(INCOMES, return_dtype=pl.Int8).alias("income"),
        (pl.col(MARITAL) == "Never married").cast(pl.Int8).alias("never_married"),
    )
    words = [pl.col(column).cast(pl.String).alias(name) for column, name in CATEGORICAL.items()]
    profile = people.select(
        "entity",
        *(pl.when(word != MISSING).then(word) for word in words),
        *(pl.col(column).cast(pl.Float64).alias(name) for column, name in NUMERIC.items()),
    )
    return Tables(SCHEMA, samples, profile)
