"""The identity of each row of a partition: its canonical id, and its copy where an id occurs more than once.

The rows of an id are ordered by their content, so that a reordered delivery keeps the same row. Rows without
an id are numbered among themselves in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.references import RowSum
from tasks.core.row_sums import row_sum
from tasks.source.view import SourceView, key_of_copy

SCHEMA = {"id": pl.String, "copy": pl.Int64}
NO_ROWS = pl.DataFrame(schema=SCHEMA)


@dataclass(frozen=True)
class Identities:
    """The rows of one read. ids: str, null where a row has none. codes: float, one number per distinct id.

    copies: id, key and copy of the rows whose id is null or occurs more than once.
    """

    ids: pl.Series
    codes: pl.Series
    copies: pl.DataFrame

    @staticmethod
    def none() -> "Identities":
        """Returns the identities of no rows."""
        empty = pl.Series("id", [], pl.String)
        return Identities(empty, empty.cast(pl.Float64), NO_ROWS.with_columns(key=pl.lit("")))

    @property
    def rows(self) -> pl.DataFrame:
        """The id and copy of every row."""
        repeated = self.copies["id"].drop_nulls().unique()
        alone = self.ids.filter(self.ids.is_not_null() & ~self.ids.is_in(repeated.implode()))
        with_copy = pl.DataFrame({"id": alone}).with_columns(copy=pl.lit(0, pl.Int64))
        return pl.concat([with_copy, self.copies.select("id", "copy")])

    def refused(self, bad: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Returns bad rows (id and copy), each once: id, copy, is_repeated."""
        rows = pl.concat([NO_ROWS, *bad]).unique().sort("id", "copy")
        return rows.with_columns(
            is_repeated=pl.col("id").is_in(self.copies["id"].drop_nulls().unique().implode())
        )

    def sums(self, con: duckdb.DuckDBPyConnection, refused: pl.DataFrame) -> tuple[RowSum, RowSum]:
        """Returns the identities of all rows, and of those that are not refused."""
        con.register("ids", pl.DataFrame({"id": self.ids}).to_arrow())
        con.register("copies", self.copies.to_arrow())
        con.register("refused_rows", refused.to_arrow())
        unique = "where id is not null and id not in (select id from copies where id is not null)"
        alone = row_sum(con, f"(from ids {unique})" if self.copies.height else "ids")
        parts = [alone, row_sum(con, "copies", "copy")]
        found = RowSum(sum(part.rows for part in parts), str(sum(int(part.total) for part in parts)))
        bad = row_sum(con, "refused_rows", "copy")
        return found, RowSum(found.rows - bad.rows, str(int(found.total) - int(bad.total)))


def read_identities(con: duckdb.DuckDBPyConnection, dataset: Dataset, view: SourceView) -> Identities:
    """Returns the identities of the rows of the view `day`, and creates the table `repeated` of the ids that
    occur more than once.
    """
    ids = con.execute(f"select {view.id} as id from day").pl()["id"]
    codes = ids.rank("dense").cast(pl.Float64)
    rows = len(ids) - ids.null_count()
    some_repeat = rows > 0 and codes.max() != rows
    repeated = ids.filter(codes.is_duplicated()).drop_nulls().unique() if some_repeat else ids.clear()
    con.register("repeated_ids", pl.DataFrame({"id": repeated}).to_arrow())
    con.execute("create or replace temp table repeated as from repeated_ids")
    if not (some_repeat or ids.null_count()):
        return Identities(ids, codes, Identities.none().copies)
    found = con.execute(
        f"select {view.id} as id, {key_of_copy(view, dataset)} as key from day "
        f"where {view.id} is null or {view.id} in (select id from repeated)"
    ).pl()
    numbered = found.sort("id", "key").with_columns(
        copy=pl.int_range(pl.len(), dtype=pl.Int64).over("id", order_by="key")
    )
    return Identities(ids, codes, numbered)


def key_of_repeated(view: SourceView, dataset: Dataset, identities: Identities) -> str:
    """Returns an SQL expression for the key of a row's copy; null where its id occurs once."""
    if identities.copies.is_empty():
        return "cast(null as varchar)"
    return (
        f"case when {view.id} is null or {view.id} in (select id from repeated) "
        f"then {key_of_copy(view, dataset)} end"
    )
