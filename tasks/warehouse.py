"""The warehouse: one schema per dataset, opened for moments only, with every other process's lock waited for."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from pydantic import Field

import sql
from models.settings import Section
from tasks.errors import WarehouseError, WarehouseHeld, WarehouseMissing, first_line

log = logging.getLogger(__name__)
HELD = ("Could not set lock", "Conflicting lock", "database is locked")
R = TypeVar("R")


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
    with _attached(warehouse, Patience(warehouse), read_only=True) as con:
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


def transact(warehouse: WarehouseSettings, dataset: str, work: Callable[[duckdb.DuckDBPyConnection], R]) -> R:
    """What `work` gives, inside one transaction: committed as a whole, or rolled back on any error; tables are made where missing.

    While another process holds the warehouse, or commits what conflicts, the whole of it is tried again, `work` too.
    Raises WarehouseHeld where that lasts longer than `wait_seconds`.
    """
    patience = Patience(warehouse)
    while True:
        with _attached(warehouse, patience, read_only=False) as con:
            try:
                return _transacted(con, dataset, work)
            except duckdb.Error as error:
                patience.wait(error)


def _transacted(con: duckdb.DuckDBPyConnection, dataset: str, work: Callable[[duckdb.DuckDBPyConnection], R]) -> R:
    con.begin()
    try:
        if not _has_schema(con, dataset):
            _create(con, dataset)
        con.execute(f"use warehouse.{sql.identifier(dataset)}")
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
    con.execute(sql.read("schema"))
    con.execute("insert into publish_lock values (now())")


def _has_schema(con: duckdb.DuckDBPyConnection, dataset: str) -> bool:
    found = con.execute("select 1 from duckdb_schemas() where database_name = 'warehouse' and schema_name = $name", {"name": dataset})
    return found.fetchone() is not None


@contextmanager
def _attached(warehouse: WarehouseSettings, patience: "Patience", *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "preserve_insertion_order": "false",  # rows of a table have no order; a million of them go in twice as fast
    }
    if warehouse.is_file:
        Path(warehouse.uri).parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config=config) as con:
        while True:
            try:
                con.execute(f"attach {sql.literal(warehouse.uri)} as warehouse{' (read_only)' if read_only else ''}")
                break
            except duckdb.Error as error:
                if not is_held(error):
                    what = first_line(error)
                    raise WarehouseError(f"{warehouse.uri} cannot be opened as the warehouse: {what}; mend warehouse.uri") from error
                patience.wait(error)
        yield con


def is_held(error: duckdb.Error) -> bool:
    """Whether another process is the trouble, so that trying again can help."""
    return any(words in str(error) for words in HELD)


class Patience:
    """Waits while another process holds the warehouse: a night's result is worth waiting for."""

    def __init__(self, warehouse: WarehouseSettings) -> None:
        self._warehouse = warehouse
        self._give_up = time.monotonic() + warehouse.wait_seconds
        self._told = False

    def wait(self, error: duckdb.Error) -> None:
        """A moment; raises the error itself where waiting cannot help, WarehouseHeld where it has lasted too long."""
        if not is_held(error):
            raise error
        uri, what = self._warehouse.uri, first_line(error).split(". See also")[0]
        if time.monotonic() >= self._give_up:
            waited = f"held by another process for more than {self._warehouse.wait_seconds:g} s"
            raise WarehouseHeld(f"{uri} is {waited} ({what}); end it, then run again") from error
        if not self._told:
            log.warning("waiting for %s: %s", uri, what)
            self._told = True
        time.sleep(0.2)
