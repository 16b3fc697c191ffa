"""The warehouse: one schema per dataset, opened for moments only, with every other process's lock waited
for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import duckdb

import sql
from tasks.core.errors import WarehouseError, WarehouseMissing, first_line
from tasks.warehouse.contention import Patience, is_held
from tasks.warehouse.ducklake import load_extensions
from tasks.warehouse.settings import WarehouseSettings

NO_LAKE = "creating a new DuckLake is explicitly disabled"
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    # rows of a table have no order; a million of them go in twice as fast
    "preserve_insertion_order": "false",
}
LAKE_CONFIG = CONFIG | {
    "allow_unsigned_extensions": "true"
}  # the wheels are pinned by hash: to check 36 MB of each took 0.3 s a time
MACROS = sql.read("schema/macros")
R = TypeVar("R")


@contextmanager
def reading(warehouse: WarehouseSettings, dataset: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection with the dataset's schema in use.

    Raises WarehouseMissing where there is no warehouse or no such dataset yet, WarehouseError where another
    process holds it.
    """
    if warehouse.file is not None and not warehouse.file.exists():
        raise _missing(warehouse)
    with _attached(warehouse, Patience(warehouse.place, warehouse.wait_seconds), read_only=True) as con:
        if not _has_schema(con, dataset):
            raise WarehouseMissing(
                f"{warehouse.place} holds nothing of {dataset} yet; score a first night with "
                "`nightscore run --date D`"
            )
        con.execute(f"use warehouse.{sql.identifier(dataset)}")
        con.execute(MACROS)
        yield con


def see_as_of(con: duckdb.DuckDBPyConnection, as_of: datetime) -> None:
    """From here on every view shows what it showed at this instant. as_of: with a zone."""
    con.execute(
        f"set variable as_of = {sql.literal(as_of.isoformat())}::timestamptz"
    )  # bound, it would have DuckDB import pandas


def datasets(warehouse: WarehouseSettings) -> list[str]:
    """The datasets that a warehouse holds.

    Raises WarehouseMissing, WarehouseHeld, or WarehouseError where it cannot be opened.
    """
    if warehouse.file is not None and not warehouse.file.exists():
        raise _missing(warehouse)
    with _attached(warehouse, Patience(warehouse.place, warehouse.wait_seconds), read_only=True) as con:
        named = "database_name = 'warehouse' and not internal and schema_name <> 'main'"
        return [
            name
            for (name,) in con.execute(
                f"select schema_name from duckdb_schemas() where {named} order by all"
            ).fetchall()
        ]


def look_up(
    warehouse: WarehouseSettings, dataset: str, name: str, values: dict[str, Any]
) -> tuple[Any, ...] | None:
    """The first row of the statement `sql/<name>.sql`; None where there is none, or no warehouse yet."""
    try:
        with reading(warehouse, dataset) as con:
            row: tuple[Any, ...] | None = con.execute(sql.read(name), values).fetchone()
            return row
    except WarehouseMissing:
        return None


def transact(warehouse: WarehouseSettings, dataset: str, work: Callable[[duckdb.DuckDBPyConnection], R]) -> R:
    """What `work` gives, inside one transaction: committed as a whole, or rolled back on any error; tables
    are made where missing.

    While another process holds the warehouse, or commits what conflicts, the whole of it is tried again,
    `work` too.
    Raises WarehouseHeld where that lasts longer than `wait_seconds`.
    """
    patience = Patience(warehouse.place, warehouse.wait_seconds)
    while True:
        with _attached(warehouse, patience, read_only=False) as con:
            try:
                return _transacted(con, dataset, work)
            except duckdb.Error as error:
                patience.wait(error)


def tidy(warehouse: WarehouseSettings) -> None:
    """Lets go of the files of a lake that its tables have left, a day after they did; a DuckDB file uses
    such space again by itself.
    """
    patience = Patience(warehouse.place, warehouse.wait_seconds)
    while warehouse.lake is not None:
        with _attached(warehouse, patience, read_only=False) as con:
            try:
                con.execute(sql.read("retention/expire_snapshots"))
                con.execute(sql.read("retention/delete_unused_files"))
                return
            except duckdb.Error as error:
                patience.wait(error)


def _transacted(
    con: duckdb.DuckDBPyConnection, dataset: str, work: Callable[[duckdb.DuckDBPyConnection], R]
) -> R:
    con.begin()
    try:
        if not _has_schema(con, dataset):
            _create(con, dataset)
        con.execute(f"use warehouse.{sql.identifier(dataset)}")
        con.execute(MACROS)
        done = work(con)
        con.commit()
    except BaseException:
        with suppress(duckdb.Error):
            con.rollback()
        raise
    return done


def _create(con: duckdb.DuckDBPyConnection, dataset: str) -> None:
    con.execute(f"create schema warehouse.{sql.identifier(dataset)}")
    con.execute(f"use warehouse.{sql.identifier(dataset)}")
    con.execute(sql.read("schema/tables"))
    con.execute(sql.read("schema/views"))
    con.execute("insert into publish_lock values (now())")


def _has_schema(con: duckdb.DuckDBPyConnection, dataset: str) -> bool:
    # bound, it would have DuckDB import pandas
    named = f"database_name = 'warehouse' and schema_name = {sql.literal(dataset)}"
    found = con.execute(f"select 1 from duckdb_schemas() where {named}")
    return found.fetchone() is not None


@contextmanager
def _attached(
    warehouse: WarehouseSettings, patience: Patience, *, read_only: bool
) -> Iterator[duckdb.DuckDBPyConnection]:
    if warehouse.file is not None:
        warehouse.file.parent.mkdir(parents=True, exist_ok=True)
        in_duckdb = warehouse.lake is None or warehouse.lake.engine == "duckdb"
        if in_duckdb and not read_only and not warehouse.file.exists():
            _make_file(warehouse.file)
    with duckdb.connect(config=LAKE_CONFIG if warehouse.lake else CONFIG) as con:
        if warehouse.lake is not None:
            load_extensions(con, warehouse.lake)
        while True:
            try:
                con.execute(_attach_statement(warehouse, read_only=read_only))
                break
            except duckdb.Error as error:
                if NO_LAKE in str(error):
                    raise _missing(warehouse) from error
                if not is_held(error):
                    what = first_line(error)
                    raise WarehouseError(
                        f"{warehouse.place} cannot be opened as the warehouse: {what}; mend warehouse.uri"
                    ) from error
                patience.wait(error)
        yield con


def _make_file(path: Path) -> None:
    """An empty DuckDB file, there whole or not at all: of two that DuckDB makes in place at once, one can
    fail or be emptied by the other.

    Where that fails, DuckDB makes it in place, or says what is wrong.
    """
    with (
        suppress(OSError, duckdb.Error),
        TemporaryDirectory(prefix=".nightscore-", dir=path.parent) as folder,
    ):
        made = Path(folder) / path.name
        duckdb.connect(made, config=CONFIG).close()
        path.hardlink_to(
            made
        )  # unlike a rename, it leaves a file alone that another process has put there meanwhile


def _attach_statement(warehouse: WarehouseSettings, *, read_only: bool) -> str:
    options = ["read_only"] if read_only else []
    if (
        warehouse.lake is not None
    ):  # its files are found below warehouse.files, also after the folder was moved or mounted elsewhere
        options += [f"data_path {sql.literal(str(warehouse.data))}", "override_data_path true"]
        if warehouse.lake.engine == "sqlite" and not read_only:
            options.append(
                "meta_journal_mode 'WAL'"
            )  # a reader blocks no writer, even with a query open; it stays so for every client
    listed = f" ({', '.join(options)})" if options else ""
    return f"attach {sql.literal(warehouse.place)} as warehouse{listed}"


def _missing(warehouse: WarehouseSettings) -> WarehouseMissing:
    return WarehouseMissing(
        f"there is no warehouse at {warehouse.place} yet; score a first night with `nightscore run --date D`"
    )
