"""What belongs to no date is counted and named, whatever kind of source it is in."""

import logging
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tasks.core.dataset import Dataset
from tasks.core.source_settings import SourceSettings
from tasks.source.ingest import ingest
from tasks.source.undated import undated_files, undated_rows

DAY = date(2024, 3, 5)
ROWS = pl.DataFrame({"id": ["a", "b", "c"], "day": [DAY, None, DAY], "amount": [1.0, 2.0, 3.0]})


def source(folder: Path, kind: str, rows: pl.DataFrame) -> SourceSettings:
    if kind == "table":
        with duckdb.connect(folder / "bank.duckdb") as con:
            con.register("rows", rows.to_arrow())
            con.execute("create table tx as from rows")
        return SourceSettings(database=str(folder / "bank.duckdb"), table="tx", date_column="day")
    if kind == "parquet":
        rows.write_parquet(folder / "all.parquet")
        return SourceSettings(path=f"{folder}/*.parquet", date_column="day")
    text = rows.with_columns(pl.col("day").cast(pl.String).fill_null("2024-13-05" if kind == "unfit" else ""))
    text.write_csv(folder / "all.csv")
    return SourceSettings(
        path=f"{folder}/*.csv", date_column="day", types={"day": "DATE", "amount": "DOUBLE"}
    )


@pytest.mark.parametrize("kind", ["table", "parquet", "empty", "unfit"])
def test_rows_without_a_date_are_counted_and_a_night_warns_of_them(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = source(tmp_path, kind, ROWS)
    note = undated_rows(found)
    assert note is not None
    assert note.startswith("1 rows have no date in day, and are in no night; some are in ")
    content = {"source": found.model_dump(), "columns": {"id": "id"}, "features": {"numeric": ["amount"]}}
    with caplog.at_level(logging.WARNING):
        partition = ingest(Dataset.model_validate({"name": "bank", **content}), DAY, tmp_path / "files")
    assert partition.rows == ROWS.height - 1
    assert [record.getMessage() for record in caplog.records] == [f"{DAY}  ingest     {note}"]


@pytest.mark.parametrize("kind", ["table", "parquet", "empty"])
def test_nothing_is_said_where_every_row_has_a_date(tmp_path: Path, kind: str) -> None:
    whole = source(tmp_path, kind, ROWS.drop_nulls())
    assert (undated_rows(whole), undated_files(whole)) == (None, None)


def test_files_with_two_dates_or_none_are_counted(tmp_path: Path) -> None:
    names = ("year=2024/2024-03-05", "year=2023/2024-03-06", "year=2024/2024-02-31")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        ROWS.write_parquet(tmp_path / f"{name}.parquet")
    dated = SourceSettings(path=f"{tmp_path}/year={{date:%Y}}/{{date}}.parquet")
    assert undated_rows(dated) is None
    assert undated_files(dated) == (
        "2 files have no date in their path, or two, and are in no night; such as "
        f"{tmp_path}/year=2023/2024-03-06.parquet"
    )
    for name in names[1:]:
        (tmp_path / f"{name}.parquet").unlink()
    assert undated_files(dated) is None
