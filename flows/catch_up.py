"""Catching up: the dates that were never scored, and those whose source has changed since, in order."""

import logging
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from flows.due_dates import due_dates
from flows.nightly import score_night
from flows.settings import Settings, load_settings
from models.errors import ModelError
from tasks.core.errors import CaughtUpInPart, NightError
from tasks.core.progress import advance
from tasks.core.references import Night
from tasks.operations.liveness import track_run
from tasks.publishing.changed_source import changed_since
from tasks.publishing.held import name_held
from tasks.publishing.ledger import committed_dates
from tasks.source.connection import list_dates

log = logging.getLogger(__name__)
ScoreNight = Callable[[Path, date], Night]


def score_missed(
    config: Path, first: date | None = None, last: date | None = None, night: ScoreNight = score_night
) -> list[Night]:
    """Scores every date of the source from `first` to `last` that has no committed run, or whose source has
    changed.

    Unless given, `first` is `source.start`, else the first committed night; `last` is the newest date of the
    source. Each date is scored by `night`; one that fails does not stop the others. Raises CaughtUpInPart,
    naming the failed dates, at the end.
    """
    settings = load_settings(config)
    with track_run(settings.files):
        done, failed = score_dates(config, dates_to_run(settings, first, last), night)
    if failed:
        why = "; ".join(map(str, failed.values()))
        raise CaughtUpInPart(
            f"{len(done)} dates were scored, {len(failed)} failed ({', '.join(map(str, failed))}): {why}"
        )
    return done


def score_dates(
    config: Path, days: Sequence[date], night: ScoreNight = score_night
) -> tuple[list[Night], dict[date, Exception]]:
    """The nights of these dates, in order, and the errors of those that were not committed."""
    done: list[Night] = []
    failed: dict[date, Exception] = {}
    for number, day in enumerate(days):
        advance("catch-up", number, len(days))
        try:
            done.append(night(config, day))
        except (NightError, ModelError) as error:
            log.warning("%s  catch-up   failed: %s", day, error)
            failed[day] = error
    advance("catch-up", len(days), len(days))
    return done, failed


def dates_to_run(settings: Settings, first: date | None, last: date | None) -> list[date]:
    """The dates of the source, in order, that have no committed run, or whose source is not what was scored;
    without those that are held or discarded, unless their source has changed since.
    """
    due = due_dates(settings, first, last)
    if due.lacking:
        log.info("catch-up   the source has no partition of %s", ", ".join(map(str, due.lacking)))
    warehouse = settings.open_warehouse()
    name_held(warehouse)
    committed, found = committed_dates(warehouse), list_dates(settings.source)
    begin = first or settings.source.start or min(committed, default=None)
    wanted = [
        day
        for day in found
        if day in committed
        and day not in due.aside
        and (begin is None or day >= begin)
        and (last is None or day <= last)
    ]
    return sorted(due.missing + changed_since(settings, warehouse, wanted))
