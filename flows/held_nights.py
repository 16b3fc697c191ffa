"""Held nights: somebody accepts one, or discards it."""

from datetime import date

from flows.nightly import follow_up
from flows.settings import Settings
from tasks.core.references import Night
from tasks.core.staging import night_folder
from tasks.operations.liveness import track_run
from tasks.publishing.held import accept_night, discard_night


def accept_held(settings: Settings, day: date, by: str) -> Night:
    """Commits the held night of a date as it was scored, or notes who accepts its committed night.

    A process that works on the date is waited for. Raises NightError where there is nothing to accept.
    """
    warehouse = settings.open_warehouse()
    with track_run(settings.files):
        with night_folder(settings.files, day, keep=True):
            night = accept_night(settings, warehouse, settings.evaluation.brake, day, by)
        follow_up(settings, warehouse, night)
    return night


def discard_held(settings: Settings, day: date) -> str:
    """Drops the held night of a date, and returns its run id. Raises NightError where there is none."""
    with night_folder(settings.files, day, keep=True):
        return discard_night(settings.open_warehouse(), day)
