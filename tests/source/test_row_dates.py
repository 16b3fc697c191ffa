"""Files that are not divided by date: `source.date_column` says which date a row belongs to."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tasks.core.dataset import Dataset
from tasks.core.dates import date_range
from tasks.core.errors import PartitionMissing, SourceError
from tasks.core.source_settings import SourceSettings
from tasks.source.connection import connect, list_dates
from tasks.source.ingest import read_partition
from tasks.source.simulation import simulate
from tasks.source.view import create_view

FIRST, DAY = date(2024, 3, 1), date(2024, 3, 6)
FRAME = simulate(FIRST, 6, customers=40, terminals=80, seed=5)
TYPES = {
    "transaction_id": "BIGINT",
    "tx_time": "TIMESTAMP",
    "customer_id": "BIGINT",
    "terminal_id": "BIGINT",
    "amount": "DOUBLE",
    "is_fraud": "TINYINT",
    "fraud_scenario": "TINYINT",
}


def dataset(**source: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "cards",
            "source": {"date_column": "TX_Time", "lookback_days": 3, **source},
            "columns": {"id": "transaction_id", "time": "tx_time"},
            "features": {"sql": "features/card_transactions.sql", "numeric": ["amount"]},
        }
    )


def table(folder: Path) -> Dataset:
    with duckdb.connect(str(folder / "bank.duckdb")) as con:
        con.register("frame", FRAME.to_arrow())
        con.execute("create table t as from frame")
    return dataset(database=f"{folder}/bank.duckdb", table="t")


def write(folder: Path, kind: str) -> Dataset:
    """Files that cut through days, by number."""
    for number, part in enumerate((FRAME[:100], FRAME[100:350], FRAME[350:])):
        file = folder / f"month={number}" / f"x.{kind}"
        file.parent.mkdir()
        if kind == "csv":
            part.write_csv(file)
        else:
            part.write_parquet(file)
    types = {"types": TYPES} if kind == "csv" else {}
    return dataset(path=f"{folder}/*/*.{kind}", **types)


def rows_of(data: Dataset) -> pl.DataFrame:
    with connect(data.source) as con:
        view = create_view(con, data, "found", list(date_range(FIRST, DAY)))
        columns = ", ".join([*view.types, f"{view.date} as day"])
        return con.sql(f"select {columns} from found").pl().sort("transaction_id")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_files_and_a_table_of_the_same_rows_are_the_same(tmp_path: Path, kind: str) -> None:
    files, rows = write(tmp_path, kind), table(tmp_path)
    assert list_dates(files.source) == list_dates(rows.source) == date_range(FIRST, DAY)
    assert rows_of(files).equals(rows_of(rows))
    found, expected = read_partition(files, DAY), read_partition(rows, DAY)
    assert (found.rows, found.look_back, found.left_out) == (expected.rows, expected.look_back, ())
    if kind == "parquet":
        assert found == expected
    missing = date(2024, 5, 1)
    with pytest.raises(PartitionMissing, match=rf"\*\.{kind} where TX_Time = 2024-05-01"):
        read_partition(files, missing)


def test_what_is_wrong_with_rows_of_other_dates_is_no_matter_of_a_day(tmp_path: Path) -> None:
    data = write(tmp_path, "parquet")
    before = read_partition(data, DAY)
    old = FRAME.head(5).with_columns(pl.col("tx_time") - timedelta(days=300), amount=pl.lit("text"))
    (tmp_path / "old").mkdir()
    old.drop("customer_id").write_parquet(tmp_path / "old" / "x.parquet")
    assert read_partition(data, DAY).fingerprint == before.fingerprint
    assert len(list_dates(data.source)) > 6


def test_a_file_that_cannot_be_read_or_has_no_date_is_named(tmp_path: Path) -> None:
    data, file = write(tmp_path, "parquet"), tmp_path / "month=1" / "x.parquet"
    FRAME.drop("tx_time").write_parquet(file)
    for call in (lambda: list_dates(data.source), lambda: read_partition(data, DAY)):
        with pytest.raises(SourceError, match=f"{file} has no column TX_Time; fix it, or source.date_column"):
            call()
    file.write_bytes(b"PAR1")
    for call in (lambda: list_dates(data.source), lambda: read_partition(data, DAY)):
        with pytest.raises(SourceError, match=f"{file} cannot be read: .*; deliver it again"):
            call()
    nowhere = dataset(path=f"{tmp_path}/nowhere/*.parquet")
    assert list_dates(nowhere.source) == []
    with pytest.raises(PartitionMissing, match=r"there are no files at .*nowhere/\*\.parquet where"):
        read_partition(nowhere, DAY)


def test_a_date_in_two_places_is_refused() -> None:
    with pytest.raises(ValueError, match="the date of a row is in path or in date_column, not in both"):
        SourceSettings(path="/x/{date}.parquet", date_column="day")
