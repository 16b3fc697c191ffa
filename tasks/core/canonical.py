"""Canonical values: the same value has the same text, whatever its physical type is on a day.

Whole numbers of any numeric type are digits (7, 7.0 and 7.00 are '7', -0.0 is '0'), other numbers the
shortest text that reads back, booleans true or false. Text stands as it is: '007' and '7.0' are values of
their own. Null and NaN are no value. `docs/sources.md` has the whole rule.
"""

from duckdb.sqltypes import DuckDBPyType

from tasks.core.duckdb_types import is_boolean, is_float, is_integer, is_number, is_text

# The first whole numbers that a float cannot tell from their neighbours.
INEXACT_FROM = {"float": 1 << 24, "double": 1 << 53}
SMALL = "1e-4"  # below, a double is written with an exponent


def canonical_text(column: str, kind: DuckDBPyType) -> str:
    """Returns an SQL expression, VARCHAR, for the canonical text of a quoted column of this type."""
    text = f"cast({column} as varchar)"
    if is_float(kind):
        return (
            f"case when isnan({column}) then null "
            f"when {column} <> trunc({column}) or isinf({column}) then {text} "
            f"when abs({column}) < 1e18 then cast(cast({column} as bigint) as varchar) "
            f"else format('{{:.0f}}', cast({column} as double)) end"
        )
    if kind.id == "decimal":
        digits = f"rtrim(rtrim({text}, '0'), '.')"
        return (
            f"case when {column} = trunc({column}) then split_part({text}, '.', 1) "
            f"when abs({column}) < {SMALL} then cast(cast({column} as double) as varchar) "
            f"else {digits} end"
        )
    return text


def is_exact(column: str, kind: DuckDBPyType) -> str:
    """Returns an SQL expression, BOOLEAN, for whether a quoted column can be an id: false for a fraction, for
    an infinite value, and for a float beyond what its type counts exactly (2^53, of float32 2^24).
    """
    if is_float(kind):
        whole = f"({column} = trunc({column}) and abs({column}) < {INEXACT_FROM[kind.id]})"
        return f"coalesce(isnan({column}) or {whole}, true)"
    if kind.id == "decimal":
        return f"coalesce({column} = trunc({column}), true)"
    return "true"


def may_be_inexact(kind: DuckDBPyType) -> bool:
    """Whether a column of this type can hold values that are no ids."""
    return is_float(kind) or kind.id == "decimal"


def as_number(column: str, kind: DuckDBPyType) -> str:
    """Returns an SQL expression, DOUBLE, for a quoted column of numbers, true is 1. It fails for text that is
    no number.
    """
    return (
        f"cast({column} as double)" if is_number(kind) or is_boolean(kind) else _read_number(column, "cast")
    )


def converted(column: str, kind: DuckDBPyType, target: DuckDBPyType) -> str:
    """Returns an SQL expression for a quoted column of one type as another: null where the value has no such
    form.
    """
    if str(kind) == str(target):
        return column
    if is_text(target):
        return canonical_text(column, kind)
    if is_float(target):
        number = as_number(column, kind) if is_number(kind) else _read_number(column, "try_cast")
        return f"cast({number} as {target})"
    if is_integer(target) and not (is_integer(kind) or is_boolean(kind)):
        text = canonical_text(column, kind)
        whole = f"try_cast({text} as {target})"
        return f"case when cast({whole} as varchar) = {text} and {is_exact(column, kind)} then {whole} end"
    return f"try_cast({column} as {target})"


def _read_number(column: str, cast: str) -> str:
    text = f"cast({column} as varchar)"
    return f"case {text} when 'true' then 1 when 'false' then 0 else {cast}({text} as double) end"
