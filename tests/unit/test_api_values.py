"""Numbers and strings of a resource: what they take, what they say, how they come back."""

from decimal import Decimal
from typing import Annotated

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from longtail_api.base import CRON_PATTERN, ColumnName, Cron, DataUri
from longtail_api.shared_specs import ResourceQuantity
from longtail_api.values import Number, quantity_value

FLOPS = TypeAdapter(Annotated[Decimal, Number(gt="0", le="1000G", quantity=True, unit="FLOPs")])
RATE = TypeAdapter(Annotated[Decimal, Number(gt="0", le="1")])
WHOLE = TypeAdapter(Annotated[Decimal, Number(ge="1", lt="10", integer=True)])


@pytest.mark.parametrize(
    ("written", "meant"), [(250, "250"), ("250", "250"), ("250k", "250000"), ("1.5M", "1500000"), ("0.5", "0.5")]
)
def test_a_number_is_an_integer_or_a_decimal_string_with_a_suffix(written, meant):
    assert FLOPS.validate_python(written) == Decimal(meant)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "k",
        "1e3",
        "1.",
        ".5",
        "+5",
        " 5",
        "5 ",
        "5K",
        "5Ki",
        "5m",
        "٥",
        "NaN",
        "Infinity",
        True,
        None,
        [],
        "-5",
        0,
        -1,
        "0",
        "0.0",
        "1001G",
    ],
)
def test_what_is_no_such_number_is_refused_in_words(written):
    with pytest.raises(ValidationError, match="must be a decimal number of FLOPs greater than 0 and at most 1000G"):
        FLOPS.validate_python(written)


def test_a_whole_number_has_no_fraction():
    assert WHOLE.validate_python("9") == 9
    for written in ("1.5", "10", 0):
        with pytest.raises(ValidationError, match="must be a whole number at least 1 and less than 10"):
            WHOLE.validate_python(written)


@given(st.decimals(min_value="0.000001", max_value=1, places=6))
def test_a_number_comes_back_as_it_was_written_and_never_as_a_float(number):
    rendered = RATE.dump_python(RATE.validate_python(format(number, "f")), mode="json")
    assert isinstance(rendered, int | str)
    assert RATE.validate_python(rendered) == number


@given(st.floats(min_value=1e-6, max_value=1))
def test_a_float_in_a_file_is_read_as_what_it_prints(number):
    assert RATE.validate_python(number) == Decimal(str(number))


@pytest.mark.parametrize(
    ("text", "value"), [("500m", "0.5"), ("2", "2"), ("4Gi", "4294967296"), ("1.5k", "1500"), ("2Ti", "2199023255552")]
)
def test_a_quantity_is_what_kubernetes_means_by_it(text, value):
    assert quantity_value(text) == Decimal(value)


def test_a_resource_quantity_may_be_an_integer_and_is_read_as_its_digits():
    quantity = TypeAdapter(ResourceQuantity)
    assert quantity.validate_python(2) == "2"
    assert quantity.validate_python("500m") == "500m"
    for written in ("2GB", "-1", -1, True, 0.5):
        with pytest.raises(ValidationError, match="must be a quantity such as 500m, 2 or 4Gi"):
            quantity.validate_python(written)


@settings(max_examples=40)
@given(st.from_regex(CRON_PATTERN, fullmatch=True).filter(lambda text: text.isascii() and len(text) <= 100))
def test_a_range_of_cron_that_runs_forward_is_one_that_croniter_reads(expression):
    # The pattern can't compare two numbers: a range that runs backward is the operator's to refuse.
    ranges = [item.partition("/")[0] for field in expression.split() for item in field.split(",") if "-" in item]
    numbers = [pair.split("-") for pair in ranges]
    if all(low.isdecimal() and high.isdecimal() and int(low) < int(high) for low, high in numbers):
        assert TypeAdapter(Cron).validate_python(expression) == expression
        assert croniter.is_valid(expression)


@pytest.mark.parametrize(
    "expression", ["* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "noon"]
)
def test_a_cron_expression_has_five_fields_within_their_ranges(expression):
    with pytest.raises(ValidationError, match="must be a cron expression of five fields"):
        TypeAdapter(Cron).validate_python(expression)


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://my-bucket.eu/a/b=1/c.parquet", "file:///data"])
def test_an_address_is_of_s3_or_a_folder(uri):
    assert TypeAdapter(DataUri).validate_python(uri) == uri


@pytest.mark.parametrize("uri", ["s3://", "s3://ab", "s3://Bucket/a", "file://data", "/data", "http://x/y", 7])
def test_another_address_is_refused(uri):
    with pytest.raises(ValidationError, match="must"):
        TypeAdapter(DataUri).validate_python(uri)


def test_a_string_has_its_longest_length():
    assert TypeAdapter(ColumnName).validate_python("a" * 63)
    with pytest.raises(ValidationError, match="at most 63 characters"):
        TypeAdapter(ColumnName).validate_python("a" * 64)
