"""Waits for a late partition, in a process that has nothing large in memory."""

from datetime import date

from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionMissing
from tasks.core.step import step
from tasks.source.connection import connect, place, readable
from tasks.source.view import create_view


@step
def arrival(dataset: Dataset, day: date) -> None:
    """Waits until the partition of a day has arrived; see `look_for`.

    The caller sets the number of retries by `with_retries`.
    """
    look_for(dataset, day)


def look_for(dataset: Dataset, day: date) -> None:
    """Reads one row of a day.

    Raises PartitionMissing if there is none, SourceError if the source cannot be read.
    """
    with connect(dataset.source) as con, readable(dataset.source, day):
        create_view(con, dataset, "day", [day])
        if con.sql("select 1 from day limit 1").fetchone() is None:
            raise PartitionMissing(f"{day}: the partition is empty ({place(dataset.source, day)})")
