"""`nightscore sql`: what it answers, what it refuses, and what it shows as of an instant."""

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import typer
from publications import publish, register, scored_night
from typer.testing import CliRunner
from warehouses import ENGINES, SAMPLED

import sql
from flows.cli.app import app
from flows.cli.options import instant
from flows.settings import load_settings
from tasks.core.errors import WarehouseError
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.query import query
from tasks.warehouse.settings import WarehouseSettings

every_engine = pytest.mark.parametrize("warehouse", ENGINES, indirect=True)
sampled = pytest.mark.parametrize("warehouse", SAMPLED, indirect=True)
CHANGES = [
    "delete from promotions",
    "insert into promotions (version) values ('b')",
    "update promotions set version = 'b'",
    "create table more (i int)",
    "create temp table more (i int)",
    "drop view scores",
    "explain analyze delete from promotions",
    "with gone as (delete from promotions returning *) from gone",
    "select 1; delete from promotions",
]
ELSEWHERE = [
    "attach 'other.duckdb' as other",
    "attach ':memory:' as other",
    "detach warehouse",
    "select * from read_text('/etc/hostname')",
    "select * from '/etc/hostname.csv'",
    "from glob('/etc/*')",
    "from sqlite_scan('{sqlite}', 'secrets')",
    "explain from sqlite_scan('{sqlite}', 'secrets')",
    "describe from sqlite_scan('{sqlite}', 'secrets')",
    "select (select count(*) from sqlite_scan('{sqlite}', 'secrets'))",
    "with found as (from range(2), lateral (from system.main.sqlite_scan('{sqlite}', 'secrets'))) from found",
    "from query('from sqlite_scan(''{sqlite}'', ''secrets'')')",
    "from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "from postgres_scan('host=/nowhere', 'public', 'secrets')",
    "from a_frame_of_ours",
    "copy promotions to '{out}'",
    "explain analyze copy promotions to '{out}'",
    "export database '{out}'",
    "import database '{out}'",
    "copy from database warehouse to memory",
]
SETTINGS = [
    "install httpfs",
    "load httpfs",
    "load '{sqlite}'",
    "set enable_external_access = true",
    "reset enable_external_access",
    "set threads = 1",
    "set variable as_of = now()",
    "pragma threads = 1",
    "call enable_logging()",
    "from enable_profiling()",
    "use memory",
    "checkpoint",
    "begin",
    "prepare later as select 1",
    "create temporary secret (type postgres, password 'mine')",
    "from duckdb_secrets()",
    "from ducklake_cleanup_old_files('warehouse', cleanup_all => true)",
    "",
    "selec 1",
]


def promote(warehouse: WarehouseSettings, version: str) -> None:
    promotion = {"effective_from": "2026-01-01", "version": version, "promoted_by": "me", "why": ""}
    Warehouse(warehouse, "bank").transact(
        lambda con: con.execute(sql.read("registry/insert_promotion"), promotion)
    )


def files(folder: Path) -> dict[Path, bytes]:
    """Every file and its content, but for what SQLite keeps beside a database that is open to readers."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".sqlite-shm", ".sqlite-wal")
    }


@pytest.mark.slow
@sampled
def test_it_can_only_read_and_only_the_warehouse(warehouse: WarehouseSettings, tmp_path: Path) -> None:
    a_frame_of_ours = duckdb.sql("select 1").arrow()
    assert a_frame_of_ours
    promote(warehouse, "a")
    places = {"sqlite": str(tmp_path / "other.sqlite"), "out": str(tmp_path / "out.csv")}
    with sqlite3.connect(places["sqlite"]) as con:
        con.execute("create table secrets (name text)")
    before = files(tmp_path)
    answered = []
    for statement in (*CHANGES, *ELSEWHERE, *SETTINGS):
        try:
            answered.append((statement, query(Warehouse(warehouse, "bank"), statement.format(**places)).rows))
        except WarehouseError:
            continue
    assert answered == []
    assert query(Warehouse(warehouse, "bank"), "select version from promotions").rows == [("a",)]
    assert files(tmp_path) == before


@pytest.mark.slow
@every_engine
def test_it_answers_whatever_duckdb_parses_as_a_query(warehouse: WarehouseSettings) -> None:
    promote(warehouse, "a")
    answer = query(Warehouse(warehouse, "bank"), "select version, 1 as one from promotions")
    assert (answer.columns, answer.rows) == (["version", "one"], [("a", 1)])
    for text in (
        "from promotions",
        "table promotions",
        "values (1)",
        "with promoted as (from promotions) from promoted",
        "-- why\nselect 1 -- because\n;",
        "show tables",
        "describe alerts",
        "summarize promotions",
        "explain from alerts",
        "EXPLAIN ANALYZE from alerts",
        "pivot promotions on version in ('a') using count(*)",
        "from range(3)",
        "select unnest([1, 2])",
        "from duckdb_columns()",
    ):
        assert query(Warehouse(warehouse, "bank"), text).rows, text


@pytest.mark.slow
@sampled
def test_views_show_what_they_showed_at_an_instant(warehouse: WarehouseSettings) -> None:
    staging, shown, instants = Path(warehouse.files) / "bank", [], []

    def look() -> None:
        instants.append(datetime.now(UTC))
        shown.append(look_back(instants[-1]))

    def look_back(as_of: datetime | None) -> list[tuple[object, ...]]:
        text = """
        select
            (select count(*) from scores),
            (select first(id) from alerts),
            (select rows_scored from daily),
            (select frauds from daily),
            (select version from champion)"""
        return query(Warehouse(warehouse, "bank"), text, as_of).rows

    def label(verdict: bool, weight: float | None = 1.0) -> None:
        values = {"id": "second-0", "label": verdict, "weight": weight, "day": "2026-01-10"}
        add = (
            "insert into labels by name select $id as id, $label as label, $weight::double as weight, "
            "$day::date as partition_date, $day::date as known_at,"
        )
        Warehouse(warehouse, "bank").transact(lambda con: con.execute(add + " now() as recorded_at", values))

    register(warehouse)
    look()
    publish(warehouse, scored_night(staging, "first"))
    look()
    publish(warehouse, scored_night(staging, "second", rows=30))
    look()
    label(True)
    look()
    label(False)
    look()
    label(True, weight=None)
    look()
    promote(warehouse, "v1")
    look()
    assert shown == [
        [(0, None, None, None, None)],
        [(20, "first-0", 20, None, None)],
        [(30, "second-0", 30, None, None)],
        [(30, "second-0", 30, 1, None)],
        [(30, "second-0", 30, 0, None)],
        [(30, "second-0", 30, None, None)],  # a label whose weight is not known is in no metric
        [(30, "second-0", 30, None, "v1")],
    ]
    assert [look_back(as_of) for as_of in instants] == shown
    assert look_back(None) == shown[-1]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-20", "2026-11-20T23:59:59.999999+00:00"),
        ("2026-11-20T14:00", "2026-11-20T14:00:00+00:00"),
        ("2026-11-20 14:00:05", "2026-11-20T14:00:05+00:00"),
        ("2026-11-20T14:00+02:00", "2026-11-20T12:00:00+00:00"),
        ("2026-11-20T14:00Z", "2026-11-20T14:00:00+00:00"),
    ],
)
def test_an_instant_is_utc_unless_it_names_a_zone_and_a_date_is_its_end(text: str, meant: str) -> None:
    assert instant(text) == datetime.fromisoformat(meant)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-31", "2026-11-20T25:00", "0001-01-01T00:00+14:00", "'; drop table runs"],
)
def test_what_is_no_instant_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a date or an instant; write 2026-11-20"):
        instant(text)


def test_the_command_line_asks_as_of_an_instant(tmp_path: Path) -> None:
    config = tmp_path / "nightscore.toml"
    config.write_text(
        'name = "bank"\n[source]\npath = "{date}.parquet"\n[columns]\nid = "id"\n[features]\nnumeric = '
        '["amount"]\n'
    )
    promote(WarehouseSettings(uri=str(tmp_path / "nightscore.duckdb")), "v1")

    def ask(*arguments: str) -> tuple[int, str, str]:
        asked = CliRunner().invoke(
            app, ["sql", "select getvariable('as_of')::varchar as t", "--config", str(config), *arguments]
        )
        return asked.exit_code, asked.stdout, asked.stderr

    status, output, _ = ask("--json", "--as-of", "2026-11-20T14:00+01:00")
    assert status == 0
    assert datetime.fromisoformat(json.loads(output)[0]["t"]) == datetime(2026, 11, 20, 13, tzinfo=UTC)
    status, output, errors = ask("--as-of", "yesterday")
    assert (status, output) == (2, "")
    assert "'yesterday' is not a date or an instant" in errors


def test_an_error_of_duckdb_keeps_the_line_that_points_at_the_place(tmp_path: Path) -> None:
    config = tmp_path / "nightscore.toml"
    config.write_text(
        f'name = "cards"\nsource = {{path = "{tmp_path}/{{date}}.parquet"}}\ncolumns = {{id = "id"}}\n'
        'features = {numeric = ["x"]}\n'
    )
    load_settings(config).open_warehouse().transact(lambda con: None)
    refused = CliRunner().invoke(app, ["sql", "--config", str(config), "select nosuch from scores"])
    assert refused.exit_code == 1
    *_, line, caret = refused.stderr.rstrip("\n").splitlines()
    assert line == "LINE 1: select nosuch from scores"
    assert caret == " " * line.index("nosuch") + "^"


def test_it_starts_fast_since_it_imports_nothing_large(warehouse: WarehouseSettings) -> None:
    promote(warehouse, "a")
    code = """
import sys
import flows.cli.results, flows.settings
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.query import query
from tasks.warehouse.settings import WarehouseSettings
query(Warehouse(WarehouseSettings.model_validate_json(sys.argv[1]), "bank"), "from promotions")
heavy = {"pandas", "polars", "pyarrow", "numpy", "prefect", "keras", "great_expectations", "sklearn"}
print(*heavy & set(sys.modules))
"""
    command = [sys.executable, "-c", code, warehouse.model_dump_json()]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == []
