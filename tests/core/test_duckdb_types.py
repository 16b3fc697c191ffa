"""What each DuckDB type holds, and that the regular expressions for Great Expectations agree."""

import re
from collections.abc import Callable

import duckdb
import pytest
from duckdb.sqltypes import DuckDBPyType

from tasks.core import duckdb_types as types

INTEGERS = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"]
INTEGERS += [f"U{name}" for name in INTEGERS]
NUMBERS = [*INTEGERS, "FLOAT", "DOUBLE", "DECIMAL(10,2)"]
TEXTS = ["VARCHAR", "UUID", "ENUM('a', 'it''s )')"]
TIMESTAMPS = ["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"]
LISTS = [f"{name}{size}" for name in [*NUMBERS, "BOOLEAN"] for size in ("[]", "[784]")]
NESTED_FLOATS = [
    "STRUCT(a INTEGER, b FLOAT)",
    "MAP(VARCHAR, DOUBLE)",
    "UNION(a FLOAT, b INTEGER)",
    "STRUCT(a DOUBLE[])[]",
]
OTHERS = [
    "JSON",
    "BIT",
    "TIME",
    "TIME WITH TIME ZONE",
    "INTERVAL",
    "BIGNUM",
    "INTEGER[][]",
    "VARCHAR[]",
    "TIMESTAMP[]",
    "ENUM('a', 'b')[]",
    'STRUCT("FLOAT" INTEGER)',
]
ALL = [*NUMBERS, *TEXTS, *TIMESTAMPS, *LISTS, *NESTED_FLOATS, *OTHERS, "BOOLEAN", "BLOB", "DATE"]
LISTS_OF_FLOATS = [name for name in LISTS if name.startswith(("FLOAT", "DOUBLE"))]


@pytest.mark.parametrize(
    ("predicate", "names"),
    [
        (types.is_integer, INTEGERS),
        (types.is_float, ["FLOAT", "DOUBLE"]),
        (types.is_number, NUMBERS),
        (types.is_boolean, ["BOOLEAN"]),
        (types.is_number_or_boolean, [*NUMBERS, "BOOLEAN"]),
        (types.is_text, TEXTS),
        (types.is_bytes, ["BLOB"]),
        (types.is_date, ["DATE"]),
        (types.is_timestamp, TIMESTAMPS),
        (types.has_time_zone, ["TIMESTAMP WITH TIME ZONE"]),
        (types.is_image, ["BLOB", *LISTS]),
        (types.contains_floats, ["FLOAT", "DOUBLE", *LISTS_OF_FLOATS, *NESTED_FLOATS]),
    ],
    ids=lambda case: getattr(case, "__name__", None),
)
def test_a_predicate_is_true_of_its_types_alone(
    predicate: Callable[[DuckDBPyType], bool], names: list[str]
) -> None:
    assert {name for name in ALL if predicate(duckdb.sqltype(name))} == set(names)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (types.NUMBER_OR_BOOLEAN, [*NUMBERS, "BOOLEAN"]),
        (types.DATE_OR_TIMESTAMP, ["DATE", *TIMESTAMPS]),
        (types.LABEL, [*NUMBERS, "BOOLEAN", "VARCHAR", "ENUM('a', 'it''s )')"]),
        (types.IMAGE, ["BLOB", *LISTS]),
    ],
)
def test_a_regular_expression_matches_its_types_alone(pattern: str, names: list[str]) -> None:
    found = {name for name in ALL if re.fullmatch(pattern, str(duckdb.sqltype(name)))}
    assert found == set(names)
