"""When the night starts, and which business date it scores."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator

from models.settings import Section
from tasks.core.dates import TimeZone

FIELDS = 5  # minute, hour, day of the month, month, day of the week


class ScheduleSettings(Section):
    """When the night starts: on date t it scores date t - offset_days."""

    cron: str = "0 2 * * *"
    """minute hour day month weekday, on the clocks of the zone."""
    timezone: TimeZone = "UTC"
    """The zone of `cron`."""
    offset_days: int = Field(1, ge=0)
    """The night that starts on date t scores date t - offset_days."""
    late_retries: int = Field(12, ge=0)
    """How often a scheduled night looks again for a missing partition."""
    late_retry_minutes: float = Field(15, gt=0)
    """Minutes between two looks."""
    port: int | None = Field(None, ge=1, le=65535)
    """Of the Prefect server that `nightscore serve` starts if $PREFECT_API_URL names none. Unset: 4200 if it
    is free, else another.
    """

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str) -> str:
        if len(cron.split()) != FIELDS:
            raise ValueError(
                f"{cron!r} has {len(cron.split())} fields instead of {FIELDS}; write minute hour day "
                "month weekday"
            )
        try:
            next(CronSim(cron, datetime(2026, 1, 1)))
        except (CronSimError, StopIteration) as error:
            reason = str(error) or "it matches no date"
            raise ValueError(
                f"{cron!r} is not a cron expression ({reason}); write one such as 0 2 * * *"
            ) from error
        return cron


def business_date(scheduled: datetime, schedule: ScheduleSettings) -> date:
    """Returns the date that a run scores: the date of its scheduled start in the time zone of the schedule,
    minus `offset_days`.

    scheduled: with a time zone. Raises ValueError if it has none.
    """
    if scheduled.tzinfo is None:
        raise ValueError(f"the scheduled start {scheduled} has no time zone")
    return scheduled.astimezone(ZoneInfo(schedule.timezone)).date() - timedelta(days=schedule.offset_days)
