"""The warehouse: one schema per dataset, opened for moments only, with every other process's lock waited for."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
from pydantic import Field

import sql
from models.settings import Section
from tasks.errors import WarehouseError, WarehouseMissing

log = logging.getLogger(__name__)
HELD = ("Could not set lock", "Conflicting lock", "database is locked")


class WarehouseSettings(Section):
    """Where results go: a DuckDB file or anything that DuckDB can ATTACH, and a folder for models, reports and staging."""

    uri: str = "nightscore.duckdb"
    files: str = "nightscore-files"
    wait_seconds: float = Field(60, ge=0)  # how long another process's lock is waited for

    @property
    def is_file(self) -> bool:
        return ":" not in self.uri


@contextmanager
def reading(warehouse: WarehouseSettings, dataset: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection with the dataset's schema in use.

    Raises WarehouseMissing where there is no warehouse or no such dataset yet, WarehouseError where another process holds it.
    """
    if warehouse.is_file and not Path(warehouse.uri).is_file():
        raise WarehouseMissing(f"there is no warehouse at {warehouse.uri} yet; score a first night with `nightscore run --date D`")
    with _attached(warehouse, read_only=True) as con:
        if not _has_schema(con, dataset):
            raise WarehouseMissing(f"{warehouse.uri} holds nothing of {dataset} yet; score a first night with `nightscore run --date D`")
        con.execute(f"use warehouse.{sql.identifier(dataset)}")
        yield con


def look_up(warehouse: WarehouseSettings, dataset: str, name: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
    """The first row of the statement `sql/<name>.sql`; None where there is none, or no warehouse yet."""
    try:
        with reading(warehouse, dataset) as con:
            row: tuple[Any, ...] | None = con.execute(sql.read(name), values).fetchone()
            return row
    except WarehouseMissing:
        return None


@contextmanager
def transaction(warehouse: WarehouseSettings, dataset: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection inside one transaction, committed at the end and rolled back on any error; tables are made where missing.

    Raises WarehouseError where another process holds the warehouse for longer than `wait_seconds`.
    """
    with _attached(warehouse, read_only=False) as con:
        if not _has_schema(con, dataset):
            _create(con, dataset)
        con.execute(f"use warehouse.{sql.identifier(dataset)}")
        con.begin()
        try:
            yield con
            con.commit()
        except BaseException:
            with suppress(duckdb.Error):
                con.rollback()
            raise


def _create(con: duckdb.DuckDBPyConnection, dataset: str) -> None:
    con.begin()
    con.execute(f"create schema warehouse.{sql.identifier(dataset)}")
    con.execute(f"use warehouse.{sql.identifier(dataset)}")
    con.execute(sql.read("schema"))
    con.execute("insert into publish_lock values (now())")
    con.commit()


def _has_schema(con: duckdb.DuckDBPyConnection, dataset: str) -> bool:
    found = con.execute("select 1 from duckdb_schemas() where database_name = 'warehouse' and schema_name = $name", {"name": dataset})
    return found.fetchone() is not None


@contextmanager
def _attached(warehouse: WarehouseSettings, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "preserve_insertion_order": "false",  # rows of a table have no order; a million of them go in twice as fast
    }
    if warehouse.is_file:
        Path(warehouse.uri).parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config=config) as con:
        _attach(con, warehouse, " (read_only)" if read_only else "")
        yield con


def _attach(con: duckdb.DuckDBPyConnection, warehouse: WarehouseSettings, options: str) -> None:
    """Waits while another process holds the file: a night's result is worth waiting for."""
    give_up = time.monotonic() + warehouse.wait_seconds
    told = False
    while True:
        try:
            con.execute(f"attach {sql.literal(warehouse.uri)} as warehouse{options}")
            return
        except duckdb.Error as error:
            held = any(words in str(error) for words in HELD)
            what = str(error).splitlines()[0].split(". See also")[0]
            if not held:
                raise WarehouseError(f"{warehouse.uri} cannot be opened as the warehouse: {what}; mend warehouse.uri") from error
            if time.monotonic() >= give_up:
                waited = f"held by another process for more than {warehouse.wait_seconds:g} s"
                raise WarehouseError(f"{warehouse.uri} is {waited} ({what}); end it, then run again") from error
            if not told:
                log.warning("waiting for %s: %s", warehouse.uri, what)
                told = True
            time.sleep(0.2)
