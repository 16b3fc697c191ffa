"""When the night starts, and which business date it is about."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator

from models.settings import Section
from tasks.core.dates import TimeZone

FIELDS = 5  # minute, hour, day of the month, month, day of the week


class ScheduleSettings(Section):
    """When the night starts: on date t it scores date t - offset_days.

    late_retries, late_retry_minutes: how often, and how far apart, a scheduled night looks again for a
    partition that is not there.
    port: of the Prefect server that `nightscore serve` starts where $PREFECT_API_URL names none; unless
    given, a free one.
    """

    cron: str = "0 2 * * *"
    timezone: TimeZone = "UTC"
    offset_days: int = Field(1, ge=0)
    late_retries: int = Field(12, ge=0)
    late_retry_minutes: float = Field(15, gt=0)
    port: int | None = Field(None, ge=1, le=65535)

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
            raise ValueError(
                f"{cron!r} is no cron expression ({error or 'it never comes'}); write one such as 0 2 * * *"
            ) from error
        return cron


def business_date(scheduled: datetime, schedule: ScheduleSettings) -> date:
    """The date that a run scores: that of its scheduled start on the clocks of the schedule's zone, less
    `offset_days`.

    scheduled: an instant, with its zone. Raises ValueError where it has none.
    """
    if scheduled.tzinfo is None:
        raise ValueError(f"{scheduled} has no zone, so it is no instant")
    return scheduled.astimezone(ZoneInfo(schedule.timezone)).date() - timedelta(days=schedule.offset_days)
