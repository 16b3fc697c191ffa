"""Tables of Delta and Iceberg, read through a view of a DuckDB file."""

import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
from buckets import SECRET, s3_server
from lakehouse import write_delta, write_iceberg

from tasks.core.dataset import Dataset
from tasks.core.dates import date_range
from tasks.core.errors import SourceError
from tasks.core.extensions import load_extension
from tasks.source.connection import list_dates
from tasks.source.ingest import read_partition, require_same_source
from tasks.source.simulation import simulate
from tasks.source.tables import LAKEHOUSE, s3_secret

FIRST, DAY = date(2024, 3, 1), date(2024, 3, 4)
FRAME = simulate(FIRST, 4, customers=30, terminals=60, seed=5)
WRITERS = {"delta": write_delta, "iceberg": write_iceberg}


def dataset(database: Path) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "cards",
            "source": {"database": str(database), "table": "t", "date_column": "tx_time", "lookback_days": 2},
            "columns": {"id": "transaction_id", "time": "tx_time"},
            "features": {"sql": "features/card_transactions.sql", "numeric": ["amount"]},
        }
    )


def view_of(folder: Path, kind: str) -> Dataset:
    WRITERS[kind](FRAME, folder / "lake")
    with duckdb.connect(str(folder / "views.duckdb")) as con:
        for name in LAKEHOUSE[kind]:
            load_extension(con, name)
        con.execute(f"create view t as from {kind}_scan('{folder}/lake')")
    return dataset(folder / "views.duckdb")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_lakehouse_table_is_read_like_a_table(tmp_path: Path, kind: str) -> None:
    data = view_of(tmp_path, kind)
    with duckdb.connect(str(tmp_path / "bank.duckdb")) as con:
        con.register("frame", FRAME.to_arrow())
        con.execute("create table rows as from frame; create view t as from rows")
    assert list_dates(data.source) == date_range(FIRST, DAY)
    assert read_partition(data, DAY) == read_partition(dataset(tmp_path / "bank.duckdb"), DAY)


@pytest.mark.slow
def test_a_table_of_delta_is_read_from_s3_with_what_the_environment_gives(tmp_path: Path) -> None:
    write_delta(FRAME, tmp_path / "lake")
    with s3_server() as bucket, duckdb.connect(str(tmp_path / "views.duckdb")) as con:
        bucket.mkdir("bank")
        bucket.put(str(tmp_path / "lake"), "bank/lake", recursive=True)
        for name in ("delta", "httpfs"):
            load_extension(con, name)
        con.execute(s3_secret())
        con.execute("create view t as from delta_scan('s3://bank/lake')")
        con.close()
        remote = read_partition(dataset(tmp_path / "views.duckdb"), DAY)
    assert SECRET not in (tmp_path / "views.duckdb").read_bytes().decode("latin-1")
    assert remote == read_partition(view_of(tmp_path / "here", "delta"), DAY)


def test_a_table_that_grows_while_a_night_runs_is_seen(tmp_path: Path) -> None:
    data = view_of(tmp_path, "delta")
    partition = read_partition(data, DAY)
    require_same_source(data, partition, tmp_path / "files")
    write_delta(FRAME.tail(1), tmp_path / "lake", version=1)
    with pytest.raises(SourceError, match="the source changed while the night was scored"):
        require_same_source(data, partition, tmp_path / "files")


def test_without_the_extra_it_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = view_of(tmp_path, "delta")
    monkeypatch.setitem(sys.modules, "duckdb_extension_delta", None)
    with pytest.raises(SourceError, match=r"table t of .* reads Delta; pip install nightscore\[lakehouse\]"):
        read_partition(data, DAY)
