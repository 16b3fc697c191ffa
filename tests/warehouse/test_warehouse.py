"""What holds of a warehouse, whatever engine it is in."""

import subprocess
import sys
import traceback
from pathlib import Path

import duckdb
import pytest
from banks import NIGHT, ROWS, Bank
from publications import DAY, publish, register, scored_night
from pydantic import ValidationError
from warehouses import ENGINES, LAKES, PASSWORD, SAMPLED

from flows.settings import load_settings
from tasks.core.errors import WarehouseError, WarehouseHeld, WarehouseMissing
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.query import query
from tasks.warehouse.settings import WarehouseSettings

every_engine = pytest.mark.parametrize("warehouse", ENGINES, indirect=True)
sampled = pytest.mark.parametrize("warehouse", SAMPLED, indirect=True)
every_lake = pytest.mark.parametrize("warehouse", LAKES, indirect=True)
PRELUDE = """
import sys
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings
warehouse = WarehouseSettings.model_validate_json(sys.argv[1])
def told(what):
    print(what, flush=True)
    return sys.stdin.readline()
"""


def promote(warehouse: WarehouseSettings, version: str) -> None:
    Warehouse(warehouse, "bank").transact(
        lambda con: con.execute("insert into promotions (version) values ($version)", {"version": version}),
    )


def versions(warehouse: WarehouseSettings) -> list[str]:
    with Warehouse(warehouse, "bank").reading() as con:
        return [row[0] for row in con.execute("select version from promotions order by 1").fetchall()]


class Other:
    """Another process that uses the warehouse; it says a line, and goes on when it is answered."""

    def __init__(self, warehouse: WarehouseSettings, code: str, *arguments: str) -> None:
        command = [sys.executable, "-c", PRELUDE + code, warehouse.model_dump_json(), *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def answer(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go on\n")

    def end(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode


@every_engine
def test_nothing_is_found_and_nothing_made_where_there_is_no_warehouse_yet(
    warehouse: WarehouseSettings, tmp_path: Path
) -> None:
    assert Warehouse(warehouse, "bank").row("registry/find_version", version="v") is None
    with pytest.raises(WarehouseMissing, match="nightscore run"), Warehouse(warehouse, "bank").reading():
        pass
    assert list(tmp_path.iterdir()) == []


@every_engine
def test_an_error_inside_rolls_everything_back(warehouse: WarehouseSettings) -> None:
    promote(warehouse, "a")

    def fail(con: duckdb.DuckDBPyConnection) -> None:
        con.execute("delete from promotions")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Warehouse(warehouse, "bank").transact(fail)
    assert versions(warehouse) == ["a"]


@every_engine
def test_datasets_share_a_warehouse_and_see_nothing_of_each_other(warehouse: WarehouseSettings) -> None:
    promote(warehouse, "a")
    count = "select count(*) from promotions"
    assert Warehouse(warehouse, "other bank").transact(lambda con: con.execute(count).fetchone()) == (0,)
    assert versions(warehouse) == ["a"]


HOLD = {
    "file": "import duckdb; con = duckdb.connect(warehouse.uri)",
    "sqlite": "import sqlite3; con = sqlite3.connect(warehouse.file); con.execute('begin exclusive')",
}


@pytest.mark.parametrize("warehouse", ["file", "sqlite"], indirect=True)
def test_a_lock_is_waited_for(warehouse: WarehouseSettings) -> None:
    promote(warehouse, "a")
    holder = Other(
        warehouse,
        HOLD["sqlite" if warehouse.lake else "file"] + "; told('held'); import time; time.sleep(0.4)",
    )
    holder.heard()
    holder.answer()
    promote(warehouse, "b")
    assert holder.end() == 0
    assert versions(warehouse) == ["a", "b"]


@pytest.mark.parametrize("warehouse", ["file", pytest.param("sqlite", marks=pytest.mark.slow)], indirect=True)
def test_a_lock_that_stays_is_an_error_that_says_so(
    warehouse: WarehouseSettings, caplog: pytest.LogCaptureFixture
) -> None:
    promote(warehouse, "a")
    holder = Other(warehouse, HOLD["sqlite" if warehouse.lake else "file"] + "; told('held')")
    holder.heard()
    named = "database is locked" if warehouse.lake else f"PID {holder.process.pid}"
    with pytest.raises(WarehouseHeld, match=named):
        promote(warehouse.model_copy(update={"wait_seconds": 0.5}), "b")
    if warehouse.lake is None:  # SQLite waits by itself, for longer than this
        assert named in caplog.text
    holder.end()
    assert versions(warehouse) == ["a"]


WRITE = """
told("ready")
def work(con):
    con.execute("update publish_lock set updated_at = now()")
    statement = "insert into promotions (version) select $version || number from range(20) numbers(number)"
    con.execute(statement, {"version": sys.argv[2]})
for turn in "12":
    Warehouse(warehouse, "bank").transact(work)
"""


@pytest.mark.slow
@sampled
def test_two_writers_at_once_are_both_in_and_neither_fails(warehouse: WarehouseSettings) -> None:
    writers = [Other(warehouse, WRITE, name) for name in "ab"]
    for writer in writers:
        assert writer.heard() == "ready"
    for writer in writers:
        writer.answer()
    assert [writer.end() for writer in writers] == [0, 0]
    with Warehouse(warehouse, "bank").reading() as con:
        assert con.execute(
            "select left(version, 1), count(*) from promotions group by 1 order by 1"
        ).fetchall() == [("a", 40), ("b", 40)]
        assert con.execute("select count(*) from publish_lock").fetchone() == (1,)


@pytest.mark.parametrize("warehouse", LAKES[1:], indirect=True)
def test_of_two_publishers_of_one_moment_the_second_repeats_its_whole_transaction(
    warehouse: WarehouseSettings,
) -> None:
    promote(warehouse, "a")
    seen: list[list[str]] = []

    def work(con: duckdb.DuckDBPyConnection) -> None:
        con.execute("update publish_lock set updated_at = now()")
        seen.append([row[0] for row in con.execute("select version from promotions order by 1").fetchall()])
        if len(seen) == 1:
            other = Other(warehouse, WRITE, "b")
            other.heard()
            other.answer()
            assert other.end() == 0
        con.execute("insert into promotions (version) values ('c')")

    Warehouse(warehouse, "bank").transact(work)
    assert [len(found) for found in seen] == [1, 41]
    assert len(versions(warehouse)) == 42


READ = """
with Warehouse(warehouse, "bank").reading() as con:
    print(con.execute("select count(*) from promotions").fetchone()[0])
    open_query = con.execute("from promotions")
    told(open_query.fetchone()[2])
    told(con.execute("select count(*) from promotions").fetchone()[0])
"""


@pytest.mark.slow
@every_lake
def test_a_reader_that_stays_attached_blocks_nobody_even_with_a_query_open(
    warehouse: WarehouseSettings,
) -> None:
    promote(warehouse, "a")
    reader = Other(warehouse, READ)
    assert [reader.heard(), reader.heard()] == ["1", "a"]
    promote(warehouse.model_copy(update={"wait_seconds": 0}), "b")
    reader.answer()
    assert reader.heard() == "2"
    assert reader.end() == 0


@pytest.mark.slow
@every_engine
def test_a_night_is_published_once_and_gives_way_to_the_next(warehouse: WarehouseSettings) -> None:
    register(warehouse)
    staging = Path(warehouse.files) / "bank"
    first, second = scored_night(staging, "first"), scored_night(staging, "second", rows=30)
    assert publish(warehouse, first).status == "committed"
    assert publish(warehouse, first).status == "already committed"
    assert publish(warehouse, second).status == "committed"
    counts = (
        "select (select count(*) from scores), (select count(*) from score_rows), (select count(*) from runs)"
    )
    assert query(Warehouse(warehouse, "bank"), counts).rows == [(30, 50, 2)]
    assert query(Warehouse(warehouse, "bank"), "select partition_date, id from alerts").rows == [
        (DAY, "second-0")
    ]


WATCH = """
from pathlib import Path
told("ready")
looks, halves = 0, 0
while not Path(sys.argv[2]).exists():
    with Warehouse(warehouse, "bank").reading() as con:
        runs_and_rows = "(select count(*) from current_runs), (select sum(rows_scored) from current_runs)"
        counts = runs_and_rows + ", (select count(*) from scores)"
        runs, rows, stored = con.execute(f"select {counts}").fetchone()
    looks, halves = looks + 1, halves + (runs != 1 or rows != stored)
print(looks > 0, halves, flush=True)
"""


@pytest.mark.slow
@sampled
def test_a_reader_sees_one_whole_night_or_the_other_while_they_are_published(
    warehouse: WarehouseSettings, tmp_path: Path
) -> None:
    patient, staging = warehouse.model_copy(update={"wait_seconds": 60}), Path(warehouse.files) / "bank"
    register(patient)
    publish(patient, scored_night(staging, "0"))
    reader = Other(patient, WATCH, str(tmp_path / "enough"))
    assert reader.heard() == "ready"
    reader.answer()
    for number in range(1, 5):
        publish(patient, scored_night(staging, str(number), rows=20 + number))
    (tmp_path / "enough").touch()
    assert reader.heard() == "True 0"
    assert reader.end() == 0


@pytest.mark.parametrize("warehouse", ["file", "sqlite"], indirect=True)
def test_a_file_that_is_no_warehouse_is_refused_in_words(warehouse: WarehouseSettings) -> None:
    assert warehouse.file is not None
    warehouse.file.write_text("no database" * 1000)
    with pytest.raises(WarehouseError, match=r"cannot be opened as the warehouse.*fix warehouse.uri"):
        promote(warehouse, "a")


@pytest.mark.parametrize(
    "uri",
    [
        "mysql:host=db",
        "s3://bucket/w.duckdb",
        "ducklake:mysql:db",
        "ducklake:postgres:postgresql://app:hunter2@db/lake",
    ],
)
def test_what_is_no_warehouse_is_refused_and_not_repeated(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as refused:
        WarehouseSettings(uri=uri)
    (problem,) = refused.value.errors()
    assert "must be" in problem["msg"]
    assert "hunter2" not in problem["msg"]


@pytest.mark.parametrize("uri", ["/cards?/w.duckdb", "ducklake:sqlite:/cards?/w.sqlite"])
def test_a_file_whose_path_duckdb_would_cut_is_refused(uri: str) -> None:
    """It would write the log of a transaction into another folder."""
    with pytest.raises(ValidationError, match=r"below /cards\?/w.*set warehouse.uri to a path without one"):
        WarehouseSettings(uri=uri)


def test_without_the_extra_a_lake_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb_extension_ducklake", None)
    with pytest.raises(WarehouseError, match=r"pip install nightscore\[lake\]"):
        promote(WarehouseSettings(uri=f"ducklake:{tmp_path / 'w.ducklake'}"), "a")


@pytest.mark.parametrize("password", ["hunter2", "'hun ter2'", r"'hun\'ter2 dbname=hunter2'"])
def test_a_password_is_in_no_message(password: str, caplog: pytest.LogCaptureFixture) -> None:
    warehouse = WarehouseSettings(
        uri=f"ducklake:postgres:host=/nowhere password={password} dbname=lake user=app", wait_seconds=0
    )
    with pytest.raises(WarehouseError, match="host=/nowhere dbname=lake user=app") as refused:
        promote(warehouse, "a")
    shown = "".join(traceback.format_exception(refused.value)) + caplog.text + repr(warehouse)
    assert "ter2" not in shown


@pytest.mark.parametrize("warehouse", LAKES[1:], indirect=True)
def test_a_password_is_shown_neither_where_it_is_wrong_nor_by_a_query(warehouse: WarehouseSettings) -> None:
    wrong = warehouse.model_copy(update={"uri": warehouse.uri.replace("hun", "hungry")})
    with pytest.raises(WarehouseError, match="password authentication failed") as refused:
        promote(wrong, "a")
    assert "hungry" not in "".join(traceback.format_exception(refused.value))
    promote(warehouse, "a")
    listed = str(query(Warehouse(warehouse, "bank"), "from duckdb_databases()").rows)
    assert "dbname=lake_" in listed
    assert PASSWORD[-4:] not in listed


@pytest.mark.soak
@pytest.mark.slow
def test_a_whole_night_on_a_lake(bank: Bank) -> None:
    from flows.plain import nightly

    bank.configure("[warehouse]", '[warehouse]\nuri = "ducklake:sqlite:lake/catalog.sqlite"')
    assert [nightly(bank.config, NIGHT).status for _ in range(2)] == ["committed", "already committed"]
    warehouse = load_settings(bank.config).warehouse
    assert warehouse.file == bank.folder / "lake" / "catalog.sqlite"
    assert query(Warehouse(warehouse, "small-bank"), "select count(*) from scores").rows == [(ROWS,)]
    moved = bank.folder.rename(bank.folder.parent / "elsewhere")
    assert query(
        load_settings(moved / "nightscore.toml").warehouse,
        "small-bank",
        "select count(distinct id) from scores",
    ).rows == [(ROWS,)]
