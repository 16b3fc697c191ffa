"""The warehouse: one schema per dataset, opened for moments only; a lock of another process is waited for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import uuid4

import duckdb

import sql
from tasks.core.errors import WarehouseError, WarehouseMissing, first_line
from tasks.core.instances import session
from tasks.warehouse import statements
from tasks.warehouse.contention import Patience, is_held
from tasks.warehouse.ducklake import Lake, load_extensions
from tasks.warehouse.memory import bounded_memory
from tasks.warehouse.schema import FORMAT, NumericRoles, bring_up_to_date, read_format
from tasks.warehouse.settings import WarehouseSettings
from tasks.warehouse.statements import Row

if TYPE_CHECKING:
    import polars as pl

NO_LAKE = "creating a new DuckLake is explicitly disabled"
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    # rows of a table have no order; a million of them go in twice as fast
    "preserve_insertion_order": "false",
    "enable_external_file_cache": "false",  # an instance outlives the files that it has read
}
# The wheels of the extensions are pinned by hash: checking 36 MB of signatures took 0.3 s each time.
LAKE_CONFIG = CONFIG | {"allow_unsigned_extensions": "true"}
R = TypeVar("R")


@dataclass(frozen=True)
class Warehouse:
    """The results of one dataset: a schema of that name in a DuckDB file or a DuckLake, and a folder of
    files.

    It is opened for moments only. Where another process holds it, every call waits for
    `settings.wait_seconds`, then raises WarehouseHeld.
    """

    settings: WarehouseSettings
    name: str
    numeric_roles: NumericRoles | None = None

    @property
    def files(self) -> Path:
        """The folder of the dataset's models, reports and staged nights."""
        return Path(self.settings.files) / self.name

    def waiting(self, seconds: float) -> Self:
        """The same warehouse, held by another process for no longer than so many seconds."""
        return replace(self, settings=self.settings.model_copy(update={"wait_seconds": seconds}))

    @contextmanager
    def reading(
        self, as_of: datetime | None = None, *, apart: bool = False
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection with the dataset's schema in use; a schema of an earlier format is migrated
        first.

        as_of: an instant, with its zone; views show what they showed then. apart: whether the caller changes
        the settings of DuckDB itself, which are nobody else's then. Raises WarehouseMissing where there is no
        warehouse or no such dataset yet, WarehouseError where it cannot be opened or is of a newer format.
        """
        while True:
            with _opened(self.settings, apart=apart) as con:
                stored = read_format(con, self.name)
                if stored is None:
                    raise WarehouseMissing(
                        f"{self.settings.place} holds nothing of {self.name} yet; score a first night with "
                        "`nightscore run --date D`"
                    )
                if stored == FORMAT:
                    _use(con, self.name)
                    if as_of is not None:
                        see_as_of(con, as_of)
                    yield con
                    return
            self.transact(lambda _: None)  # migrates it

    def row(self, statement: str, /, **values: Any) -> Row | None:
        """Returns the first row of `sql/<statement>.sql`; None where there is none, or no warehouse yet."""
        try:
            with self.reading() as con:
                return statements.row(con, statement, **values)
        except WarehouseMissing:
            return None

    def rows(self, statement: str, /, **values: Any) -> list[Row]:
        """Returns every row of `sql/<statement>.sql`; none where there is no warehouse yet."""
        try:
            with self.reading() as con:
                return statements.rows(con, statement, **values)
        except WarehouseMissing:
            return []

    def frame(self, statement: str, /, **values: Any) -> "pl.DataFrame":
        """Returns every row of `sql/<statement>.sql` as a frame. Raises WarehouseMissing."""
        with self.reading() as con:
            return statements.frame(con, statement, **values)

    def transact(self, work: Callable[[duckdb.DuckDBPyConnection], R], *, bounded: bool = False) -> R:
        """Returns what `work` returns, inside one transaction: committed as a whole, or rolled back on any
        error.

        The dataset's schema is created where it is missing, and migrated where it is of an earlier format.
        While another process holds the warehouse, or commits what conflicts, the transaction is tried again
        as a whole, `work` too. bounded: whether DuckDB's memory is kept small; see `bounded_memory`.
        """
        patience = Patience(self.settings.place, self.settings.wait_seconds)
        while True:
            with _attached(self.settings, patience, read_only=False) as con:
                try:
                    with bounded_memory(con) if bounded else nullcontext():
                        return _transacted(con, self, work)
                except duckdb.Error as error:
                    patience.wait(error)

    def reclaim(self) -> None:
        """Drops the files of a lake that its tables left more than a day ago; a DuckDB file reuses such
        space itself.
        """
        patience = Patience(self.settings.place, self.settings.wait_seconds)
        while self.settings.lake is not None:
            with _attached(self.settings, patience, read_only=False) as con:
                try:
                    statements.execute(con, "retention/expire_snapshots")
                    statements.execute(con, "retention/delete_unused_files")
                    return
                except duckdb.Error as error:
                    patience.wait(error)


def see_as_of(con: duckdb.DuckDBPyConnection, as_of: datetime) -> None:
    """From here on every view shows what it showed at this instant. as_of: with a zone."""
    # Bound, the value would make DuckDB import pandas.
    con.execute(f"set variable as_of = {sql.literal(as_of.isoformat())}::timestamptz")


def list_datasets(warehouse: WarehouseSettings) -> list[str]:
    """Returns the datasets that a warehouse holds.

    Raises WarehouseMissing, WarehouseHeld, or WarehouseError where it cannot be opened.
    """
    with _opened(warehouse) as con:
        named = "database_name = 'warehouse' and not internal and schema_name <> 'main'"
        schemas = con.execute(f"select schema_name from duckdb_schemas() where {named} order by all")
        return [name for (name,) in schemas.fetchall()]


@contextmanager
def _opened(warehouse: WarehouseSettings, *, apart: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    if warehouse.file is not None and not warehouse.file.exists():
        raise _missing(warehouse)
    patience = Patience(warehouse.place, warehouse.wait_seconds)
    with _attached(warehouse, patience, read_only=True, apart=apart) as con:
        yield con


def _transacted(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, work: Callable[[duckdb.DuckDBPyConnection], R]
) -> R:
    con.begin()
    try:
        bring_up_to_date(con, warehouse.settings.place, warehouse.name, warehouse.numeric_roles)
        _use(con, warehouse.name)
        done = work(con)
        con.commit()
    except BaseException:
        with suppress(duckdb.Error):
            con.rollback()
        raise
    return done


def _use(con: duckdb.DuckDBPyConnection, name: str) -> None:
    con.execute(f"use warehouse.{sql.identifier(name)}")


@contextmanager
def _attached(
    warehouse: WarehouseSettings, patience: Patience, *, read_only: bool, apart: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    if warehouse.file is not None:
        warehouse.file.parent.mkdir(parents=True, exist_ok=True)
        in_duckdb = warehouse.lake is None or warehouse.lake.engine == "duckdb"
        if in_duckdb and not read_only and not warehouse.file.exists():
            _make_file(warehouse.file)
    lake = warehouse.lake
    with _made(lake) if apart else session(lake, lambda: _made(lake), _detach) as con:
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
                        f"{warehouse.place} cannot be opened as the warehouse: {what}; fix warehouse.uri"
                    ) from error
                patience.wait(error)
        yield con


def _made(lake: Lake | None) -> duckdb.DuckDBPyConnection:
    spill = Path(gettempdir()) / f"nightscore-{uuid4().hex}"  # DuckDB makes and removes it, if it needs one
    con = duckdb.connect(config=(LAKE_CONFIG if lake else CONFIG) | {"temp_directory": str(spill)})
    if lake is not None:
        load_extensions(con, lake)
    return con


def _detach(con: duckdb.DuckDBPyConnection) -> bool:
    con.execute("detach warehouse")
    return True


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
