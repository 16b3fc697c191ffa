"""Catching up: the dates that were never scored, and those whose source has changed since, in order."""

import logging
from datetime import date
from pathlib import Path

from prefect import flow

from flows.nightly import nightly
from flows.settings import Settings, load_settings
from models.errors import ModelError
from tasks.errors import CaughtUpInPart, NightError
from tasks.evaluate import committed_dates
from tasks.references import Night
from tasks.source import list_dates
from tasks.stale import changed_since

log = logging.getLogger(__name__)


@flow(name="catch-up")
def catch_up(config: Path, first: date | None = None, last: date | None = None) -> list[Night]:
    """Scores every date of the source from `first` to `last` that has no committed run, or whose source has changed since.

    Unless given, `first` is `source.start`, else the first committed night; `last` is the newest date of the source. A date that
    fails does not stop the others. Raises CaughtUpInPart, naming the failed dates, at the end.
    """
    settings = load_settings(config)
    done, failed = [], {}
    for day in dates_to_run(settings, first, last):
        try:
            done.append(nightly(config, day))
        except (NightError, ModelError) as error:
            log.warning("%s  catch-up   failed: %s", day, error)
            failed[day] = error
    if failed:
        why = "; ".join(map(str, failed.values()))
        raise CaughtUpInPart(f"{len(done)} dates were scored, {len(failed)} failed ({', '.join(map(str, failed))}): {why}")
    return done


def dates_to_run(settings: Settings, first: date | None, last: date | None) -> list[date]:
    """The dates of the source, in order, that have no committed run, or whose source is not what was scored."""
    committed, dates = committed_dates(settings.warehouse, settings.name), list_dates(settings.source)
    begin = first or settings.source.start or min(committed, default=None)
    wanted = [day for day in dates if (begin is None or day >= begin) and (last is None or day <= last)]
    changed = changed_since(settings, settings.warehouse, [day for day in wanted if day in committed])
    return [day for day in wanted if day not in committed or day in changed]
