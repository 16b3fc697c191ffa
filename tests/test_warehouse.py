import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tasks.errors import WarehouseError, WarehouseMissing
from tasks.query import query
from tasks.warehouse import WarehouseSettings, look_up, reading, transact


@pytest.fixture
def warehouse(tmp_path: Path) -> WarehouseSettings:
    return WarehouseSettings(uri=str(tmp_path / "w.duckdb"), wait_seconds=0.5)


def promote(warehouse: WarehouseSettings, version: str) -> None:
    transact(warehouse, "bank", lambda con: con.execute("insert into promotions (version) values ($version)", {"version": version}))


def versions(warehouse: WarehouseSettings) -> list[str]:
    with reading(warehouse, "bank") as con:
        return [row[0] for row in con.execute("select version from promotions order by 1").fetchall()]


def test_nothing_is_found_where_there_is_no_warehouse_yet(warehouse: WarehouseSettings) -> None:
    assert look_up(warehouse, "bank", "find_version", {"version": "v"}) is None
    with pytest.raises(WarehouseMissing, match="nightscore run"), reading(warehouse, "bank"):
        pass
    assert not Path(warehouse.uri).exists()


def test_an_error_inside_rolls_everything_back(warehouse: WarehouseSettings) -> None:
    promote(warehouse, "a")

    def fail(con: duckdb.DuckDBPyConnection) -> None:
        con.execute("delete from promotions")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        transact(warehouse, "bank", fail)
    assert versions(warehouse) == ["a"]


def test_datasets_share_a_warehouse_and_see_nothing_of_each_other(warehouse: WarehouseSettings) -> None:
    promote(warehouse, "a")
    count = "select count(*) from promotions"
    assert transact(warehouse, "other bank", lambda con: con.execute(count).fetchone()) == (0,)
    assert versions(warehouse) == ["a"]


@pytest.mark.parametrize(("seconds_held", "succeeds"), [(0.4, True), (30, False)])
def test_a_lock_is_waited_for_and_its_holder_named(
    warehouse: WarehouseSettings, seconds_held: float, succeeds: bool, caplog: pytest.LogCaptureFixture
) -> None:
    promote(warehouse, "a")
    patient = warehouse.model_copy(update={"wait_seconds": 20.0 if succeeds else 0.5})
    hold = f"import duckdb, time; c = duckdb.connect({warehouse.uri!r}); print('held', flush=True); time.sleep({seconds_held})"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        if succeeds:
            promote(patient, "b")
        else:
            with pytest.raises(WarehouseError, match=f"PID {holder.pid}"):
                promote(patient, "b")
        holder.kill()
    assert versions(warehouse) == (["a", "b"] if succeeds else ["a"])
    assert f"PID {holder.pid}" in caplog.text


def test_a_file_that_is_no_warehouse_is_refused_in_words(warehouse: WarehouseSettings) -> None:
    Path(warehouse.uri).write_text("no database" * 1000)
    with pytest.raises(WarehouseError, match=r"cannot be opened as the warehouse.*mend warehouse.uri"):
        promote(warehouse, "a")


@pytest.mark.parametrize(
    "statement",
    [
        "delete from promotions",
        "create table warehouse.bank.more (i int)",
        "drop view scores",
        "attach 'other.duckdb' as other",
        "copy promotions to 'out.csv'",
        "select * from read_text('/etc/hostname')",
        "load httpfs",
        "set enable_external_access = true",
        "selec 1",
    ],
)
def test_a_query_can_only_read_the_warehouse(warehouse: WarehouseSettings, statement: str) -> None:
    promote(warehouse, "a")
    with pytest.raises(WarehouseError):
        query(warehouse, "bank", statement)
    assert versions(warehouse) == ["a"]


def test_a_query_gives_its_columns_and_rows(warehouse: WarehouseSettings) -> None:
    promote(warehouse, "a")
    answer = query(warehouse, "bank", "select version, 1 as one from promotions")
    assert (answer.columns, answer.rows) == (["version", "one"], [("a", 1)])
