"""What a DuckDB type holds."""

from collections.abc import Callable

from duckdb.sqltypes import DuckDBPyType

FLOATS = frozenset({"float", "double"})
INTEGERS = frozenset(
    f"{sign}{size}" for sign in ("", "u") for size in ("tinyint", "smallint", "integer", "bigint", "hugeint")
)
# The same groups as regular expressions: Great Expectations checks the text of a type, which Data Docs shows.
NUMBER_OR_BOOLEAN = rf"(?:{'|'.join(sorted(INTEGERS | FLOATS)).upper()}|DECIMAL\(.*\)|BOOLEAN)"
DATE_OR_TIMESTAMP = r"(?:DATE|TIMESTAMP[^\[]*)"
LABEL = rf"(?:{NUMBER_OR_BOOLEAN}|VARCHAR|ENUM\(.*\))"
IMAGE = rf"(?:BLOB|{NUMBER_OR_BOOLEAN}\[\d*\])"


def is_integer(kind: DuckDBPyType) -> bool:
    """Whether a type holds integers of a fixed size, signed or unsigned."""
    return kind.id in INTEGERS


def is_float(kind: DuckDBPyType) -> bool:
    """Whether a type holds floating-point numbers, which may be NaN or infinite."""
    return kind.id in FLOATS


def is_number(kind: DuckDBPyType) -> bool:
    """Whether a type holds integers, floats or decimals."""
    return is_integer(kind) or is_float(kind) or kind.id == "decimal"


def is_boolean(kind: DuckDBPyType) -> bool:
    """Whether a type holds booleans."""
    return kind.id == "boolean"


def is_number_or_boolean(kind: DuckDBPyType) -> bool:
    """Whether a type holds integers, floats, decimals or booleans."""
    return is_number(kind) or is_boolean(kind)


def is_text(kind: DuckDBPyType) -> bool:
    """Whether a type holds plain text: a string, an enum or a UUID, but not JSON."""
    return kind.id in ("varchar", "enum", "uuid") and str(kind) != "JSON"


def is_bytes(kind: DuckDBPyType) -> bool:
    """Whether a type holds bytes."""
    return kind.id == "blob"


def is_date(kind: DuckDBPyType) -> bool:
    """Whether a type holds dates without a time."""
    return kind.id == "date"


def is_timestamp(kind: DuckDBPyType) -> bool:
    """Whether a type holds timestamps of any precision, with or without a time zone."""
    return kind.id.startswith("timestamp")


def is_time(kind: DuckDBPyType) -> bool:
    """Whether a type holds dates or timestamps."""
    return is_date(kind) or is_timestamp(kind)


def family(kind: DuckDBPyType) -> str:
    """Returns number, text or time for the types whose values can be compared with each other; any other type
    is a family of its own.
    """
    if is_number_or_boolean(kind):
        return "number"
    return "text" if is_text(kind) else "time" if is_time(kind) else str(kind)


def has_time_zone(kind: DuckDBPyType) -> bool:
    """Whether a type holds timestamps with a time zone."""
    return kind.id == "timestamp with time zone"


def is_list_of(kind: DuckDBPyType, is_item: Callable[[DuckDBPyType], bool]) -> bool:
    """Whether a type holds lists or arrays of items for which `is_item` is true."""
    return kind.id in ("list", "array") and any(map(is_item, _children(kind)))


def is_image(kind: DuckDBPyType) -> bool:
    """Whether a type can hold images: bytes, or lists of numbers or booleans."""
    return is_bytes(kind) or is_list_of(kind, is_number_or_boolean)


def contains_floats(kind: DuckDBPyType) -> bool:
    """Whether a type holds floating-point numbers, at any depth of a nested type."""
    return is_float(kind) or any(map(contains_floats, _children(kind)))


def _children(kind: DuckDBPyType) -> list[DuckDBPyType]:
    """Returns the types inside a nested type; empty for any other."""
    if kind.id not in ("list", "array", "struct", "map", "union"):
        return []
    return [child for _, child in kind.children if isinstance(child, DuckDBPyType)]
