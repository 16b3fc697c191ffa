"""Which business date a scheduled run scores, which dates are due, and which schedules are valid."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from banks import Bank
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.due_dates import expected_dates
from flows.errors import SettingsError
from flows.schedule import ScheduleSettings, business_date
from flows.settings import load_settings

PARIS = "Europe/Paris"
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)


def local(day: date, hour: int, minute: int, zone: str = PARIS) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("scheduled", "zone", "offset", "expected"),
    [
        (local(SPRING, 1, 30), PARIS, 1, date(2026, 3, 28)),
        (local(SPRING, 3, 30), PARIS, 1, date(2026, 3, 28)),  # 02:30 does not exist on this day
        (local(AUTUMN, 2, 30), PARIS, 1, date(2026, 10, 24)),
        (
            local(AUTUMN, 2, 30) + timedelta(hours=1),
            PARIS,
            1,
            date(2026, 10, 24),
        ),  # 02:30 for the second time
        (local(SPRING, 23, 30), PARIS, 0, SPRING),
        (local(AUTUMN, 23, 30), PARIS, 0, AUTUMN),
        (
            datetime(2026, 7, 14, 22, 30, tzinfo=UTC),
            PARIS,
            0,
            date(2026, 7, 15),
        ),  # half past midnight in Paris
        (datetime(2027, 1, 1, 2, tzinfo=UTC), "UTC", 1, date(2026, 12, 31)),
        (datetime(2027, 1, 1, 2, tzinfo=UTC), "America/New_York", 1, date(2026, 12, 30)),
        (datetime(2028, 3, 1, 2, tzinfo=UTC), "UTC", 1, date(2028, 2, 29)),
        (datetime(2027, 3, 1, 2, tzinfo=UTC), "UTC", 2, date(2027, 2, 27)),
        (datetime(2026, 5, 31, 2, tzinfo=UTC), "UTC", 31, date(2026, 4, 30)),
    ],
)
def test_the_date_is_that_of_the_scheduled_start_in_the_zone_of_the_schedule(
    scheduled: datetime, zone: str, offset: int, expected: date
) -> None:
    assert business_date(scheduled, ScheduleSettings(timezone=zone, offset_days=offset)) == expected


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        business_date(datetime(2026, 1, 1, 2), ScheduleSettings())


@settings(max_examples=8)
@given(
    zone=st.sampled_from(
        ["UTC", PARIS, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"]
    ),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    offset=st.integers(0, 3),
)
def test_every_date_of_a_year_is_scored_by_exactly_one_night(
    zone: str, hour: int, minute: int, offset: int
) -> None:
    schedule = ScheduleSettings(cron=f"{minute} {hour} * * *", timezone=zone, offset_days=offset)
    days = [
        business_date(start, schedule)
        for start in scheduled_by_prefect(schedule, datetime(2027, 6, 1, tzinfo=UTC), 366)
    ]
    assert all(second - first == timedelta(days=1) for first, second in pairwise(days))


def test_where_midnight_does_not_exist_the_next_night_makes_up_for_the_date() -> None:
    schedule = ScheduleSettings(
        cron="0 0 * * *", timezone="America/Santiago"
    )  # its clocks go from 23:59 to 01:00
    days = [
        business_date(start, schedule)
        for start in scheduled_by_prefect(schedule, datetime(2027, 9, 3, 12, tzinfo=UTC), 4)
    ]
    assert days == [date(2027, 9, 3), date(2027, 9, 3), date(2027, 9, 5), date(2027, 9, 6)]


def scheduled_by_prefect(schedule: ScheduleSettings, start: datetime, days: int) -> Iterator[datetime]:
    from prefect.server.schemas.schedules import CronSchedule

    dates = CronSchedule(cron=schedule.cron, timezone=schedule.timezone)._get_dates_generator(
        n=days, start=start
    )
    return (datetime.fromtimestamp(found.timestamp(), UTC) for found in dates)


@pytest.mark.parametrize(
    "cron", ["0 2 * * *", "*/15 * * * *", "30 23 * * 1-5", "0 4 1 * *", "0 0 29 2 *", "15 1,13 * jan-mar mon"]
)
def test_prefect_can_schedule_every_accepted_expression(cron: str) -> None:
    assert next(scheduled_by_prefect(ScheduleSettings(cron=cron), datetime(2026, 1, 1, tzinfo=UTC), 1))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('cron = "0 2 * *"', r"schedule.cron: '0 2 \* \*' has 4 fields instead of 5"),
        ('cron = "0 0 2 * * *"', "has 6 fields"),
        ('cron = "61 2 * * *"', "is not a cron expression .*minute"),
        ('cron = "0 2 30 2 *"', "is not a cron expression"),
        ('cron = "@daily"', "has 1 fields"),
        ('timezone = "Europe/Atlantis"', "schedule.timezone: unknown time zone 'Europe/Atlantis'"),
        ('timezone = "/etc/passwd"', "unknown time zone"),
        ("offset_days = -1", "schedule.offset_days"),
        ("late_retries = -1", "schedule.late_retries"),
        ("late_retry_minutes = 0", "schedule.late_retry_minutes"),
        ("port = 70000", "schedule.port"),
    ],
)
def test_an_invalid_schedule_is_refused_in_one_line(bank: Bank, line: str, message: str) -> None:
    with bank.config.open("a") as file:
        file.write(f"\n[schedule]\n{line}\n")
    with pytest.raises(SettingsError, match=message) as refused:
        load_settings(bank.config)
    assert "\n" not in str(refused.value)


D = [date(2026, 1, 1) + timedelta(days=offset) for offset in range(12)]


@pytest.mark.parametrize(
    ("first", "last", "committed", "found", "expected"),
    [
        (None, None, [], [], []),
        (None, None, [], D[3:6], D[3:6]),
        (None, None, [D[4]], D[:8], D[4:8]),
        (D[2], None, [D[4]], D[:8], D[2:8]),
        (None, D[9], [D[4]], D[:6], D[4:10]),
        (D[5], D[3], [], D, []),
        (None, None, [D[1]], [D[3], D[7]], D[1:8]),
    ],
)
def test_the_expected_dates_are_whole_calendar_dates(
    first: date | None, last: date | None, committed: list[date], found: list[date], expected: list[date]
) -> None:
    assert expected_dates(first, last, committed, found) == expected


def test_the_deployments_of_prefect_yaml_are_those_that_are_served() -> None:
    import yaml
    from prefect.flows import load_flow_from_entrypoint

    from flows.serving.runner import SERVED

    written = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())
    flows = [load_flow_from_entrypoint(deployment["entrypoint"]) for deployment in written["deployments"]]
    assert flows == list(SERVED)
    for flow, deployment in zip(flows, written["deployments"], strict=True):
        assert set(deployment["parameters"]) <= set(flow.parameters.properties)
    assert [bool(deployment.get("schedules")) for deployment in written["deployments"]] == [
        flow.name == "nightly" for flow in flows
    ]
