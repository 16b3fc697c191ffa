"""Ranges of dates, and which names of time zones are accepted."""

from datetime import date

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.core.dates import TimeZone, date_range


def test_a_range_includes_both_ends_and_may_be_empty() -> None:
    days = [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
    assert date_range(days[0], days[-1]) == days
    assert date_range(days[0], days[0]) == days[:1]
    assert date_range(days[-1], days[0]) == []


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "America/Argentina/Ushuaia"])
def test_a_time_zone_keeps_its_name(name: str) -> None:
    assert TypeAdapter(TimeZone).validate_python(name) == name


@pytest.mark.parametrize("name", ["Europe/Atlantis", "Europe", "", "/etc/passwd", "../UTC"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"unknown time zone {name!r}; use a name such as UTC"):
        TypeAdapter(TimeZone).validate_python(name)
