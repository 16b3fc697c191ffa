"""Which dates are still to be scored: those that are expected, less the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from flows.settings import Settings
from tasks.core.dates import date_range
from tasks.publishing.changed_source import unchanged_aside
from tasks.publishing.ledger import attempted_dates, committed_dates
from tasks.source.connection import list_dates


@dataclass(frozen=True)
class DueDates:
    """Dates in order.

    missing: expected and not committed, and the source has them. lacking: the same, and it has not. aside:
        held or discarded, and their source has not changed since.
    """

    missing: list[date]
    lacking: list[date]
    aside: list[date]


def due_dates(settings: Settings, first: date | None, last: date | None) -> DueDates:
    """The expected dates of `first`..`last` that have no committed run.

    Unless given, `first` is `source.start`, else the first committed night, else the first date of the
    source; `last` is the source's newest date. Raises SourceError where the source cannot be listed.
    """
    committed, found = (
        committed_dates(settings.open_warehouse()),
        list_dates(settings.source),
    )
    expected = expected_dates(first or settings.source.start, last, committed, found)
    aside = [night.date for night in unchanged_aside(settings, settings.open_warehouse())]
    open_dates = [day for day in expected if day not in {*committed, *aside}]
    return DueDates(
        [day for day in open_dates if day in set(found)],
        [day for day in open_dates if day not in set(found)],
        aside,
    )


def missed_dates(settings: Settings, day: date) -> DueDates:
    """What a scheduled night of `day` has to make up for: the dates before it that are due.

    A date without a partition since the newest committed one is to be run once, so that it is notified, and
    is lacking afterwards. Where nothing was ever committed and no `source.start` says otherwise, the schedule
    begins with `day`.
    """
    committed = committed_dates(settings.open_warehouse())
    if not settings.source.start and not committed:
        return DueDates([], [], [])
    due = due_dates(settings, None, day - timedelta(days=1))
    attempted = attempted_dates(settings.open_warehouse())
    untold = [
        lacking
        for lacking in due.lacking
        if committed and lacking > committed[-1] and lacking not in attempted
    ]
    return DueDates(
        sorted(due.missing + untold),
        [lacking for lacking in due.lacking if lacking not in untold],
        due.aside,
    )


def expected_dates(
    first: date | None, last: date | None, committed: Sequence[date], found: Sequence[date]
) -> list[date]:
    """Every calendar date of `first`..`last`; see `due_dates` for what stands in for them."""
    begin = first or min(committed, default=None) or min(found, default=None)
    end = last or max(found, default=None)
    if begin is None or end is None:
        return []
    return date_range(begin, end)
