"""Canonical text: one value has one text, whatever its physical type is."""

from collections.abc import Callable
from decimal import Decimal

import duckdb
import pytest
from duckdb.sqltypes import DuckDBPyType
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.canonical import as_number, canonical_text, converted, is_exact

CON = duckdb.connect()
WHOLE_TYPES = (
    "tinyint",
    "smallint",
    "integer",
    "bigint",
    "hugeint",
    "float",
    "double",
    "decimal(10,0)",
    "decimal(12,2)",
)


def evaluated(value: str, expression: Callable[[str, DuckDBPyType], str]) -> object:
    """What an expression over the column `x` gives for one value, written as SQL."""
    with CON.cursor() as con:
        kind = con.sql(f"select {value} as x").types[0]
        return con.sql(f"select {expression('x', kind)} from (select {value} as x)").fetchall()[0][0]


@pytest.mark.parametrize("kind", WHOLE_TYPES)
@settings(max_examples=40)
@given(number=st.integers(-120, 120))
def test_whole_numbers_of_any_type_are_digits(kind: str, number: int) -> None:
    assert evaluated(f"{number}::{kind}", canonical_text) == str(number)
    assert evaluated(f"{number}::{kind}", is_exact) is True


@settings(max_examples=40)
@given(number=st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_double_is_its_digits(number: int) -> None:
    assert evaluated(f"({number})::double", canonical_text) == str(number)
    assert evaluated(f"({number})::double", is_exact) is True


@settings(max_examples=40)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_other_numbers_read_back(value: float) -> None:
    text = evaluated(f"'{value!r}'::double", canonical_text)
    assert float(str(text)) == value


@settings(max_examples=40)
@given(value=st.decimals(-9999, 9999, places=3, allow_nan=False))
def test_a_decimal_is_the_double_of_its_value(value: Decimal) -> None:
    assert evaluated(f"'{value}'::decimal(12,3)", canonical_text) == evaluated(
        f"'{value}'::double", canonical_text
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("'nan'::double", None),
        ("null::bigint", None),
        ("-0.0::double", "0"),
        ("'inf'::double", "inf"),
        ("true", "true"),
        ("'007'", "007"),
        ("'7.0'", "7.0"),
        ("''", ""),
        ("0.1::float", "0.1"),
        ("0.10::decimal(4,2)", "0.1"),
        ("9007199254740993::bigint", "9007199254740993"),
        ("1e22::double", "10000000000000000000000"),
    ],
)
def test_texts(value: str, text: str | None) -> None:
    assert evaluated(value, canonical_text) == text


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        ("7.5::double", False),
        ("7.5::decimal(4,1)", False),
        ("'inf'::double", False),
        ("'nan'::double", True),  # no value at all
        ("9007199254740991::double", True),
        ("9007199254740993::double", False),
        ("16777215::float", True),
        ("16777217::float", False),
        ("9007199254740993::bigint", True),
        ("'7.5'", True),
    ],
)
def test_what_can_be_an_id(value: str, exact: bool) -> None:
    assert evaluated(value, is_exact) is exact


def test_numbers_are_read_from_texts_and_booleans() -> None:
    assert [evaluated(value, as_number) for value in ("true", "'true'", "'7'", "7::tinyint")] == [1, 1, 7, 7]
    with pytest.raises(duckdb.ConversionException):
        evaluated("'seven'", as_number)


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [
        ("7.0::double", "BIGINT", 7),
        ("7.5::double", "BIGINT", None),
        ("'7'", "BIGINT", 7),
        ("'007'", "BIGINT", None),
        ("'seven'", "DOUBLE", None),
        ("'7.5'", "DOUBLE", 7.5),
        ("7.00::decimal(4,2)", "VARCHAR", "7"),
        ("true", "TINYINT", 1),
    ],
)
def test_a_value_in_another_type(value: str, target: str, expected: object) -> None:
    def to_target(column: str, kind: DuckDBPyType) -> str:
        return converted(column, kind, DuckDBPyType(target))

    assert evaluated(value, to_target) == expected
