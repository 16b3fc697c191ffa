"""Waits for a late partition, in a process that has nothing large in memory."""

from datetime import date
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionMissing, SourceError
from tasks.source.connection import connect, create_view, place, readable


@task(name="arrival", cache_policy=NO_CACHE)
def arrival(dataset: Dataset, day: date) -> None:
    """Waits until the partition of a day has arrived; see `look_for`.

    The caller sets the number of retries by `with_options`.
    """
    look_for(dataset, day)


def look_for(dataset: Dataset, day: date) -> None:
    """Reads one row of a day.

    Raises PartitionMissing if there is none, SourceError if the source cannot be read.
    """
    with connect(dataset.source) as con, readable(dataset.source, day):
        create_view(con, dataset, "day", day, day)
        if con.sql("select 1 from day limit 1").fetchone() is None:
            raise PartitionMissing(f"{day}: the partition is empty ({place(dataset.source, day)})")


def may_still_come(task: Any, run: Any, state: Any) -> bool:
    """Whether to retry: only after a SourceError, not if the configuration or anything else is wrong."""
    try:
        state.result()
    except SourceError:
        return True
    except Exception:
        return False
    return False
