"""A scheduled night: it stands in for late ones, makes up for missed dates, waits for a late partition, and
scores its own date.
"""

import logging
from contextlib import suppress
from datetime import date
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.due_dates import missed_dates
from flows.schedule import business_date
from flows.settings import Settings
from tasks.core.errors import SourceError
from tasks.core.references import Night
from tasks.notifications.prefect_artifacts import show_missed
from tasks.operations.coalescing import coalesced
from tasks.source.arrival import arrival, may_still_come

log = logging.getLogger(__name__)


def score_scheduled(config: Path, settings: Settings, day: date | None, force: bool) -> Night:
    """The night of the scheduled start, or of `day` alone where somebody asks for that.

    Raises Overtaken where another run stands in for this one, and whatever the night itself raises.
    """
    if day is not None:
        return score_night(config, day, force)
    with coalesced(settings.files) as newest:
        day = business_date(newest, settings.schedule)
        if newest != flow_run.scheduled_start_time:
            rename(f"{settings.name} {day}")
        make_up(config, settings, day)
        await_partition(settings, day)
        return score_night(config, day, force)


def make_up(config: Path, settings: Settings, day: date) -> None:
    """Scores the dates before `day` that were missed, each a run of its own.

    One that fails is tried again by the next night.
    """
    missed = missed_dates(settings, day)
    if missed.lacking:
        log.info(
            "%s  schedule   the source still has no partition of %s", day, ", ".join(map(str, missed.lacking))
        )
    outcome = dict.fromkeys(missed.lacking, "no partition")
    if missed.missing:
        from flows.catch_up import score_dates

        log.info(
            "%s  schedule   first the dates that were missed: %s", day, ", ".join(map(str, missed.missing))
        )
        done, failed = score_dates(config, missed.missing)
        outcome |= {night.date: night.status for night in done} | {
            failing: str(error) for failing, error in failed.items()
        }
    show_missed(settings.name, day, [{"date": str(due), "outcome": outcome[due]} for due in sorted(outcome)])


def await_partition(settings: Settings, day: date) -> None:
    """Waits for a late partition, for as long as [schedule] says; the night itself tells where it has not
    come by then.
    """
    schedule = settings.schedule
    patient = arrival.with_options(
        retries=schedule.late_retries,
        retry_delay_seconds=schedule.late_retry_minutes * 60,
        retry_condition_fn=may_still_come,
    )
    with suppress(SourceError):
        patient(settings, day)


def score_night(config: Path, day: date, force: bool) -> Night:
    """The night of a date, as part of this flow run."""
    from flows.nightly import nightly

    return nightly.fn(config, day, force)


def rename(name: str) -> None:
    """Calls this flow run by what it came to do."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(flow_run.id, name)
