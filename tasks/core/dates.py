"""Ranges of dates, and the names of time zones."""

from datetime import date, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator


def date_range(first: date, last: date) -> list[date]:
    """Returns every date from `first` to `last`, both included; empty if `last` is before `first`."""
    # polars.date_range is no shorter, and the command line would load polars for it.
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _check_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of a folder, such as Europe
        raise ValueError(f"unknown time zone {name!r}; use a name such as UTC or Europe/Paris") from error
    return name


TimeZone = Annotated[str, AfterValidator(_check_time_zone)]
