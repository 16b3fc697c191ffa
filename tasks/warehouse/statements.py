"""Runs the statements of sql/ by their names, with values by parameter name and rows by column name."""

from typing import TYPE_CHECKING, Any

import duckdb

import sql

if TYPE_CHECKING:
    import polars as pl

Row = dict[str, Any]


def execute(con: duckdb.DuckDBPyConnection, statement: str, /, **values: Any) -> duckdb.DuckDBPyConnection:
    """Runs `sql/<statement>.sql`."""
    return con.execute(sql.read(statement), values or None)


def row(con: duckdb.DuckDBPyConnection, statement: str, /, **values: Any) -> Row | None:
    """Returns the first row of the statement by column name; None where it has none."""
    found = execute(con, statement, **values)
    first = found.fetchone()
    return None if first is None else dict(zip(_columns(found), first, strict=True))


def rows(con: duckdb.DuckDBPyConnection, statement: str, /, **values: Any) -> list[Row]:
    """Returns every row of the statement by column name."""
    found = execute(con, statement, **values)
    names = _columns(found)
    return [dict(zip(names, each, strict=True)) for each in found.fetchall()]


def insert(con: duckdb.DuckDBPyConnection, statement: str, /, **values: Any) -> int:
    """Runs an insert and returns how many rows it inserted."""
    (count,) = execute(con, statement, **values).fetchall()[0]
    return int(count)


def frame(con: duckdb.DuckDBPyConnection, statement: str, /, **values: Any) -> "pl.DataFrame":
    """Returns every row of the statement as a frame."""
    return execute(con, statement, **values).pl()


def _columns(result: duckdb.DuckDBPyConnection) -> list[str]:
    return [column[0] for column in result.description or []]
