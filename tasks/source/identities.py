"""The identity of each row of a partition: its canonical id, and its copy where an id occurs more than once.

The rows of an id are ordered by their content, so that a reordered delivery keeps the same row. Rows without
an id are numbered among themselves in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.core.dataset import Dataset
from tasks.core.references import RowSum
from tasks.core.row_sums import row_sum
from tasks.source.view import SourceView, key_of_copy

SCHEMA = {"id": pl.String, "copy": pl.Int64}
NO_ROWS = pl.DataFrame(schema=SCHEMA)


@dataclass(frozen=True)
class Identities:
    """The rows of one read. rows: how many. total: the sum of their hashes, each as the copy 0 of its id.

    copies: id, key and copy of the rows whose id is null or occurs more than once.
    """

    rows: int
    total: int
    copies: pl.DataFrame

    @staticmethod
    def none() -> "Identities":
        """Returns the identities of no rows."""
        return Identities(0, 0, NO_ROWS.with_columns(key=pl.lit("")))

    def refused(self, bad: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Returns bad rows (id and copy), each once: id, copy, is_repeated."""
        rows = pl.concat([NO_ROWS, *bad]).unique().sort("id", "copy")
        return rows.with_columns(
            is_repeated=pl.col("id").is_in(self.copies["id"].drop_nulls().unique().implode())
        )

    def sums(self, con: duckdb.DuckDBPyConnection, refused: pl.DataFrame) -> tuple[RowSum, RowSum]:
        """Returns the identities of all rows, and of those that are not refused."""
        con.register("copies", self.copies.to_arrow())
        con.register("refused_rows", refused.to_arrow())
        first, own = (int(row_sum(con, "copies", copy).total) for copy in ("0", "copy"))
        total, bad = self.total - first + own, row_sum(con, "refused_rows", "copy")
        return RowSum(self.rows, str(total)), RowSum(self.rows - bad.rows, str(total - int(bad.total)))


def read_identities(con: duckdb.DuckDBPyConnection, dataset: Dataset, view: SourceView) -> Identities:
    """Returns the identities of the rows of the view `day`, and creates the table `repeated` of the ids that
    occur more than once.

    Equal ids have equal hashes: no id is named before two hashes are equal.
    """
    hashed = f"hash({view.id}, cast(0 as bigint))"
    hashes = np.sort(con.execute(f"select {hashed} as hash from day").fetchnumpy()["hash"])
    equal = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    con.register("equal_hashes", pl.DataFrame({"hash": equal}).to_arrow())
    con.execute(
        f"""
        create or replace temp table repeated as
        select {view.id} as id
        from day
        where {view.id} is not null and {hashed} in (select hash from equal_hashes)
        group by all
        having count(*) > 1
        """
        if _some(con, "equal_hashes")
        else "create or replace temp table repeated (id varchar)"
    )
    copies = Identities.none().copies
    if _some(con, "repeated") or _has_null(con, hashes):
        copies = _read_copies(con, dataset, view)
    return Identities(len(hashes), _exact_sum(hashes), copies)


def read_rows(con: duckdb.DuckDBPyConnection, view: SourceView, identities: Identities) -> pl.DataFrame:
    """Returns the id and copy of every row of the view `day`, once `read_identities` has read it."""
    alone = con.execute(
        f"select {view.id} as id, cast(0 as bigint) as copy from day "
        f"where {view.id} is not null and {view.id} not in (select id from repeated)"
    ).pl()
    return pl.concat([alone, identities.copies.select("id", "copy")])


def _read_copies(con: duckdb.DuckDBPyConnection, dataset: Dataset, view: SourceView) -> pl.DataFrame:
    found = con.execute(
        f"select {view.id} as id, {key_of_copy(view, dataset)} as key from day "
        f"where {view.id} is null or {view.id} in (select id from repeated)"
    ).pl()
    return found.sort("id", "key").with_columns(
        copy=pl.int_range(pl.len(), dtype=pl.Int64).over("id", order_by="key")
    )


def _some(con: duckdb.DuckDBPyConnection, relation: str) -> bool:
    return bool(con.sql(f"from {relation} limit 1").fetchone())


def _has_null(con: duckdb.DuckDBPyConnection, hashes: NDArray[np.uint64]) -> bool:
    """Whether some row has no id. hashes: ascending."""
    null = con.sql("select hash(cast(null as varchar), cast(0 as bigint))").fetchall()[0][0]
    place = int(np.searchsorted(hashes, np.uint64(null)))
    return place < len(hashes) and bool(hashes[place] == null)


def _exact_sum(hashes: NDArray[np.uint64]) -> int:
    high, low = hashes >> np.uint64(32), hashes & np.uint64(0xFFFFFFFF)
    return (int(high.sum()) << 32) + int(low.sum())


def key_of_repeated(view: SourceView, dataset: Dataset, identities: Identities) -> str:
    """Returns an SQL expression for the key of a row's copy; null where its id occurs once."""
    if identities.copies.is_empty():
        return "cast(null as varchar)"
    return (
        f"case when {view.id} is null or {view.id} in (select id from repeated) "
        f"then {key_of_copy(view, dataset)} end"
    )
