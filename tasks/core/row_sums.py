"""The identities of rows in one number: conservation is held row by row, not by counts."""

import duckdb
import polars as pl

from tasks.core.instances import session
from tasks.core.references import RowSum


def row_sum(con: duckdb.DuckDBPyConnection, relation: str, copy: str = "0") -> RowSum:
    """Returns the identities of the rows of a relation with a column `id`.

    copy: an SQL expression for the number of each row among those of its id.
    """
    rows, total = con.execute(
        f"select count(*), coalesce(sum(hash(id, cast({copy} as bigint))), 0) from {relation}"
    ).fetchall()[0]
    return RowSum(rows, str(int(total)))


def sum_of_ids(ids: pl.Series) -> RowSum:
    """Returns the identities of scored rows, each the copy 0 of its id."""
    with session("sums", duckdb.connect, lambda _: True) as con:
        con.register("found", pl.DataFrame({"id": ids}).to_arrow())
        return row_sum(con, "found")
