"""Reads one day of the source: its row count and its fingerprint."""

from datetime import date

import duckdb

from sql import identifier
from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionMissing, SourceError
from tasks.core.references import Partition
from tasks.core.step import step
from tasks.source.connection import connect, create_view, first_history_date, place, readable


@step
def ingest(dataset: Dataset, day: date) -> Partition:
    """Returns the reference to one day; see `read_partition`."""
    return read_partition(dataset, day)


def read_partition(dataset: Dataset, day: date) -> Partition:
    """Returns the reference to one day: its row count, and the fingerprint of the day and, with feature SQL,
    of its look-back.

    Raises PartitionMissing if there is no partition, SourceError if it is empty or cannot be read. An empty
    day of a table is a missing partition.
    """
    first = first_history_date(dataset, day)
    with connect(dataset.source) as con, readable(dataset.source, day, first):
        create_view(con, dataset, "day", day, day)
        rows = con.sql("from day").count("*").fetchone()
        if not rows or not rows[0]:
            error = PartitionMissing if dataset.source.path is None else SourceError
            raise error(
                f"{day}: the partition is empty ({place(dataset.source, day)}); deliver its rows and "
                "run the night again"
            )
        create_view(con, dataset, "history", first, day)
        return Partition(date=day, rows=int(rows[0]), fingerprint=_fingerprint(con, dataset))


def _fingerprint(con: duckdb.DuckDBPyConnection, dataset: Dataset) -> str:
    """Returns a hash of all rows that does not depend on their order, or on the label and weight columns: a
    label that arrives is no reason to score the day again.
    """
    excluded = {dataset.columns.label, dataset.columns.weight}
    columns = sorted(name for name in con.sql("from history").columns if name not in excluded)
    hashed = f"hash({', '.join(map(identifier, columns))})"
    count, total = con.sql(f"select count(*), sum({hashed}) from history").fetchall()[0]
    (digest,) = con.sql(
        "select sha256($text)", params={"text": repr((columns, count, int(total)))}
    ).fetchall()[0]
    return str(digest)[:16]
