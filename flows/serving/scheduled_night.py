"""A scheduled night: replaces late runs, scores missed dates, waits for a late partition, and scores its own
date.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.due_dates import missed_dates
from flows.schedule import business_date
from flows.settings import Settings, load_settings
from tasks.core.errors import SourceError
from tasks.core.references import Night
from tasks.core.step import Retries
from tasks.notifications.prefect_artifacts import show_missed
from tasks.operations.coalescing import coalesce_late_runs
from tasks.operations.liveness import track_run
from tasks.source.arrival import arrival

log = logging.getLogger(__name__)


def score_scheduled(config: Path, night: Callable[..., Any], force: bool) -> Night:
    """Scores the missed dates, each in its own run of `night`, then the date of the scheduled start, whose
    night it returns.

    Raises Overtaken if another run replaces this one, and the errors of the night itself.
    """
    settings = load_settings(config)
    with track_run(settings.files), coalesce_late_runs(settings.files) as newest:
        day = business_date(newest, settings.schedule)
        if newest != flow_run.scheduled_start_time:
            rename(f"{settings.name} {day}")
        score_missed_before(config, settings, day, night)
        await_partition(settings, day)
        from flows.nightly import score_night

        return score_night(config, day, force)


def score_missed_before(config: Path, settings: Settings, day: date, night: Callable[..., Any]) -> None:
    """Scores the missed dates before `day`. The next scheduled night tries failed dates again."""
    missed = missed_dates(settings, day)
    if missed.lacking:
        lacking = ", ".join(map(str, missed.lacking))
        log.info("%s  schedule   the source still has no partition of %s", day, lacking)
    outcome = dict.fromkeys(missed.lacking, "no partition")
    if missed.missing:
        from flows.catch_up import score_dates

        missing = ", ".join(map(str, missed.missing))
        log.info("%s  schedule   scoring the missed dates first: %s", day, missing)
        done, failed = score_dates(config, missed.missing, night)
        outcome |= {scored.date: scored.status for scored in done}
        outcome |= {failing: str(error) for failing, error in failed.items()}
    lines = [{"date": str(date_due), "outcome": outcome[date_due]} for date_due in sorted(outcome)]
    show_missed(settings.name, day, lines)


def await_partition(settings: Settings, day: date) -> None:
    """Waits for a late partition as long as [schedule] allows; if none arrives, the night itself fails."""
    schedule = settings.schedule
    retries = Retries(schedule.late_retries, schedule.late_retry_minutes * 60, (SourceError,))
    with suppress(SourceError):
        arrival.with_retries(retries)(settings, day)


def rename(name: str) -> None:
    """Renames the current flow run in Prefect."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(flow_run.id, name)
