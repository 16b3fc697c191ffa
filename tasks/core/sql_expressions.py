"""SQL expressions over a column, depending on its type."""

from duckdb.sqltypes import DuckDBPyType

from tasks.core.duckdb_types import contains_floats, is_bytes, is_float


def null_if_nan(column: str, kind: DuckDBPyType) -> str:
    """Returns an SQL expression for a quoted column of this type, with NaN as null.

    It calls isnan instead of comparing with NaN: the minimum and maximum in Parquet's statistics leave NaN
    out, which makes such a comparison wrong.
    """
    return f"case when not isnan({column}) then {column} end" if is_float(kind) else column


def json_value(column: str, kind: DuckDBPyType) -> str:
    """Returns an SQL expression for a quoted column of this type that can be packed into JSON.

    JSON has no NaN and no infinity: they become text, and so does a nested value that may contain one. Bytes
    are replaced by their count.
    """
    if is_float(kind):
        return (
            f"case when isfinite({column}) then to_json({column}) else to_json(cast({column} as varchar)) end"
        )
    if is_bytes(kind):
        return f"format('<{{:,}} bytes>', octet_length({column}))"
    return f"cast({column} as varchar)" if contains_floats(kind) else column
