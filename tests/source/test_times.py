"""What timestamps without a zone are: local time of the source, or UTC; INT96 is UTC always."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from tasks.core.dataset import Dataset
from tasks.core.errors import SourceError
from tasks.core.identity import run_identity, training_identity
from tasks.source.connection import connect, list_dates
from tasks.source.ingest import read_partition
from tasks.source.row_rules import violations
from tasks.source.view import create_view

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = date(2024, 3, 31), date(2024, 10, 27)  # of 23 and 25 hours
KINDS = ("files", "int96", "csv", "table", "undated")


def frame(day: date) -> pl.DataFrame:
    """A row for every ten minutes of a local day and of the days beside it, in UTC without a zone."""
    first = datetime(day.year, day.month, day.day, tzinfo=BERLIN) - timedelta(hours=30)
    start = first.astimezone(UTC).replace(tzinfo=None)
    at = pl.datetime_range(start, start + timedelta(hours=85), "10m", time_unit="us", eager=True)
    local = at.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    return pl.DataFrame(
        {"id": range(len(at)), "at": at, "seen": at, "amount": 1.0, "local": local.dt.replace_time_zone(None)}
    )


def source(kind: str, folder: Path, rows: pl.DataFrame) -> dict[str, Any]:
    written = rows.drop("local")
    if kind == "table":
        with duckdb.connect(f"{folder}/bank.duckdb") as con:
            con.register("frame", written.to_arrow())
            con.execute("create table t as from frame")
        return {"database": f"{folder}/bank.duckdb", "table": "t", "date_column": "at"}
    if kind == "undated":
        written.write_parquet(folder / "x.parquet")
        return {"path": f"{folder}/*.parquet", "date_column": "at"}
    for (day,), part in rows.group_by(pl.col("local").dt.date()):
        if kind == "csv":
            part.drop("local").write_csv(folder / f"{day}.csv")
        else:
            legacy = kind == "int96"
            table = part.drop("local").to_arrow()
            pq.write_table(table, folder / f"{day}.parquet", use_deprecated_int96_timestamps=legacy)
    types = {"types": {"id": "BIGINT", "at": "TIMESTAMP", "seen": "TIMESTAMP", "amount": "DOUBLE"}}
    return (
        {"path": f"{folder}/{{date}}.csv", **types}
        if kind == "csv"
        else {"path": f"{folder}/{{date}}.parquet"}
    )


def dataset(**given: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "cards",
            "source": {"timezone": "Europe/Berlin", **given},
            "columns": {"id": "id", "time": "at"},
            "features": {"numeric": ["amount"]},
        }
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["23 hours", "25 hours"])
def test_every_row_of_a_local_day_is_on_that_day(tmp_path: Path, kind: str, day: date) -> None:
    rows = frame(day)
    given = source(kind, tmp_path, rows)
    data = dataset(**given, **({} if kind == "int96" else {"times": "utc"}))
    expected = rows.filter(pl.col("local").dt.date() == day)
    assert len(expected) == {SPRING: 23, AUTUMN: 25}[day] * 6
    assert list_dates(data.source) == sorted(rows["local"].dt.date().unique())
    with connect(data.source) as con:
        view = create_view(con, data, "found", [day])
        bad = " or ".join(f"({condition})" for condition in violations(data, view).values())
        found = con.sql(f'select id, "at", "at" = seen as same, {bad} as bad from found').pl().sort("id")
    assert found["id"].to_list() == expected["id"].to_list()
    assert found["at"].to_list() == expected["local"].to_list()
    assert not found["bad"].any()
    twice = expected["local"].dt.hour() == 2  # in autumn, local times occur twice
    assert found.filter(~twice | (day == SPRING))["same"].all()
    assert read_partition(data, day).rows == len(expected)


def test_the_zone_is_applied_before_the_fingerprint(tmp_path: Path) -> None:
    given = source("files", tmp_path, frame(SPRING))
    local, utc = (read_partition(dataset(**given, times=times), SPRING) for times in ("local", "utc"))
    assert local.rows == utc.rows
    assert local.fingerprint != utc.fingerprint
    assert (
        read_partition(dataset(**given, times="utc", timezone="UTC"), SPRING).fingerprint == local.fingerprint
    )
    for identity in (run_identity, training_identity):
        assert identity(dataset(**given, times="utc")) != identity(dataset(**given, times="local"))
        assert identity(dataset(**given, times="local")) == identity(dataset(**given))


def test_dates_as_text_cannot_be_shifted(tmp_path: Path) -> None:
    rows = frame(SPRING).with_columns(pl.col("at").cast(pl.String))
    data = dataset(**source("table", tmp_path, rows), times="utc")
    with pytest.raises(SourceError, match=r"table t: column at is text, and source.times is utc; deliver"):
        list_dates(data.source)
