"""Dates in paths: every way to write them, and the paths that are refused."""

from datetime import date, timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tasks.core.date_path import date_path, unescaped

PATHS = [
    "/x/{date}.parquet",
    "/x/{date:%Y%m%d}.parquet",
    "/x/tx_{date:%Y%m%d}*.parquet",
    "/x/{date:%Y/%m/%d}/*.parquet",
    "/x/year={date:%Y}/month={date:%m}/day={date:%d}/*",
    "/x/year={date:%Y}/month={date:%-m}/{date}.parquet",
    "s3://bank/{date:%Y}/tx_{date:%d.%m.%Y}.csv",
    "/x/{date:%y%m%d}.csv",
    "/x/{date:%Y/%j}/*.parquet",
    "/x/[{]date} 2020-01-01/**/{date:%Y-%m-%d}.parquet",
]


@pytest.mark.parametrize("path", PATHS)
@settings(phases=(Phase.explicit, Phase.reuse, Phase.generate), max_examples=40)
@given(day=st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_every_spelling_of_a_day_is_read_as_that_day_alone(path: str, day: date) -> None:
    dated = date_path(path)
    for pattern in dated.patterns(day):
        file = unescaped(pattern.replace("**", "2021-01-01/b").replace("*", "9-part"))
        assert dated.date_of(file) == day
    others = {dated.shown(day + timedelta(days=shift)) for shift in range(-40, 41) if shift}
    assert dated.shown(day) not in others


@pytest.mark.parametrize(
    ("path", "file", "day"),
    [
        ("/x/{date}*", "/x/2024-3-5", None),
        ("/x/{date:%Y-%m-%d}.csv", "/x/2024-3-5.csv", date(2024, 3, 5)),
        ("/x/{date:%Y%m%d}.csv", "/x/20240230.csv", None),
        ("/x/y={date:%Y}/{date}.csv", "/x/y=2023/2024-03-05.csv", None),
        ("/x/{date:%Y%m%d}/{date:%j}.csv", "/x/20240305/065.csv", date(2024, 3, 5)),
        ("/x/{date:%Y%m%d}/{date:%j}.csv", "/x/20240305/066.csv", None),
        ("/x/{date:%Y/%j}/a", "/x/2023/366/a", None),
        ("/x/*{date:%Y%m%d}*.csv", "/x/tx_20240305123456.csv", date(2024, 3, 5)),
        ("/x/*_{date:%Y%m%d}_*.csv", "/x/tx_20240305_99999999_x.csv", date(2024, 3, 5)),
        ("/x/day={date:%d}/{date:%Y-%m}.csv", "/x/day=15/2024-03.csv", date(2024, 3, 15)),
    ],
)
def test_what_a_file_says_of_its_date(path: str, file: str, day: date | None) -> None:
    assert date_path(path).date_of(file) == day


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/x/*.parquet", r"must contain \{date\}"),
        ("/x/[{]date}/*.parquet", r"must contain \{date\}"),
        ("/x/{date:%Y-%m}.parquet", r"names no whole date: it has %Y, %m, and needs"),
        ("/x/month={date:%m}/day={date:%d}/*", r"names no whole date: it has %m, %d, and needs"),
        ("/x/{date:}.parquet", "names no whole date: it has nothing, and needs"),
        ("/x/{date:%Y%b%d}.parquet", r"has %b in \{date:%Y%b%d\}, which is no part of a date; use %Y"),
        ("/x/{date:%Y%m%d%}.parquet", "has % in"),
        ("/x/{date:%Y-%-m%-d}.parquet", "has %-m beside a digit, a wildcard or another code"),
        ("/x/{date:%Y-%m-%-d}*.parquet", "has %-d beside a digit, a wildcard"),
    ],
)
def test_a_path_that_names_no_date_is_refused(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        date_path(path)
