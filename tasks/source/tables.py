"""The tables and views of a DuckDB file, found by their names as DuckDB compares them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import duckdb
from duckdb.sqltypes import DuckDBPyType

from sql import folded, identifier, literal
from tasks.core.errors import SourceError, first_line
from tasks.core.extensions import load_extension
from tasks.core.masking import mask_unconverted
from tasks.core.source_settings import SourceSettings
from tasks.source.part import Part, in_zone

SHOWN = 10  # names of tables in a message
LAKEHOUSE = {"delta": ("delta",), "iceberg": ("avro", "iceberg")}  # the extensions of each, in order
AWS = {  # what an S3 secret of DuckDB is made of, from the environment: the first of these that is set
    "key_id": ("AWS_ACCESS_KEY_ID",),
    "secret": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
LACKING = re.compile(rf"it exists in the ({'|'.join(LAKEHOUSE)}) extension")
OTHER_CATALOG = re.compile(r'(?:Catalog|because schema) "(.+)" does not exist')


@dataclass(frozen=True)
class Table:
    """A table of the attached file. is_view: whether it is a view, whose rows may come in another order at
    each read.
    """

    catalog: str
    schema: str
    name: str
    is_view: bool

    @property
    def relation(self) -> str:
        """The quoted name."""
        return ".".join(map(identifier, (self.catalog, self.schema, self.name)))

    @property
    def written(self) -> str:
        """The name as `source.table` has it: a part that holds a dot or a quote is quoted."""
        parts = [self.name] if self.schema == "main" else [self.schema, self.name]
        return ".".join(identifier(part) if re.search(r'[."]', part) else part for part in parts)

    def spellings(self) -> Iterator[str]:
        """Yields every way to write the name, folded."""
        parts = (self.catalog, self.schema, self.name)
        for first in range(3 if self.schema == "main" else 2):
            for written in product(*((part, identifier(part)) for part in parts[first:])):
                yield folded(".".join(written))


def attach(con: duckdb.DuckDBPyConnection, database: str, catalog: str | None = None) -> None:
    """Attaches a file for reading, by default under the name that DuckDB itself gives it, since the views in
    it may have that name written out. What they name without a schema is looked for in its main schema, too.
    """
    named = f" as {identifier(catalog)}" if catalog else ""
    try:
        con.execute(f"attach {literal(database)}{named} (read_only)")
    except duckdb.BinderException:  # another catalog has that name, such as memory
        con.execute(f"attach {literal(database)} as source (read_only)")
    path = f"memory.main,{identifier(_catalog(con))}.main"
    con.execute(f"set search_path = {literal(path)}")


def list_tables(con: duckdb.DuckDBPyConnection) -> list[Table]:
    """Returns the tables and views of the attached file, ordered by schema and name."""
    catalog = _catalog(con)
    found = con.execute(
        """
        select schema_name, table_name, false from duckdb_tables() where database_name = $catalog
        union all
        select schema_name, view_name, true from duckdb_views()
        where database_name = $catalog and not internal
        order by all
        """,
        {"catalog": catalog},
    ).fetchall()
    return [Table(catalog, *row) for row in found]


def find_table(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> Table:
    """Returns the table of a source. Raises SourceError if there is none, or several may be meant."""
    assert source.table is not None
    tables = list_tables(con)
    found = [table for table in tables if folded(source.table) in table.spellings()]
    if not found:
        there = ", ".join(table.written for table in tables[:SHOWN]) + ", ..." * (len(tables) > SHOWN)
        raise SourceError(
            f"{source.database} has no table {source.table}; fix source.table (there are: {there or 'none'})"
        )
    if len(found) > 1:
        meant = " or ".join(table.relation for table in found)
        raise SourceError(f"{source.database}: table {source.table} may be {meant}; write source.table so")
    return found[0]


def columns_of(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, failed: duckdb.Error | None = None
) -> dict[str, DuckDBPyType]:
    """Returns the columns of the source's table with their types.

    failed: the error of the first attempt, if this is the second.
    Raises SourceError if there is no such table, or a view whose tables are not there.
    """
    table = find_table(con, source)
    try:
        found = con.sql(f"from {table.relation}")
    except duckdb.Error as error:
        if lacking := LACKING.search(str(error)):
            _load_lakehouse(con, source, lacking[1])
            return columns_of(con, source, failed)
        # A view has the name of the file written out that it was made in.
        if failed is None and source.database and (other := OTHER_CATALOG.search(str(error))):
            con.execute(f"set search_path = 'memory.main'; detach {identifier(table.catalog)}")
            attach(con, source.database, other[1])
            return columns_of(con, source, error)
        reason = mask_unconverted(first_line(failed or error))
        raise SourceError(
            f"table {source.table} of {source.database} cannot be read: {reason}; fix the view"
        ) from error
    return dict(zip(found.columns, found.types, strict=True))


def _load_lakehouse(con: duckdb.DuckDBPyConnection, source: SourceSettings, name: str) -> None:
    """Loads what a view over a table of Delta or Iceberg needs.

    Raises SourceError if the extra is not installed.
    """
    try:
        for each in (*LAKEHOUSE[name], "httpfs"):
            load_extension(con, each)
    except ImportError as error:
        raise SourceError(
            f"table {source.table} of {source.database} reads {name.capitalize()}; pip install "
            "nightscore[lakehouse]"
        ) from error
    con.execute(s3_secret())


def s3_secret() -> str:
    """Returns the statement that gives a connection the credentials and the endpoint of the environment."""
    found = {key: _variable(names) for key, names in AWS.items()}
    given = [f"{key} {literal(value)}" for key, value in found.items() if value]
    if endpoint := _variable(ENDPOINTS):
        protocol, _, host = endpoint.rstrip("/").rpartition("://")
        given += [f"endpoint {literal(host)}", "url_style 'path'", f"use_ssl {protocol != 'http'}"]
    return f"create or replace secret nightscore_s3 ({', '.join(['type s3', *given])})"


def _variable(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def table_part(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> Part:
    """Returns all rows of the source's table. Raises SourceError if it cannot be read."""
    types, table = columns_of(con, source), find_table(con, source)
    return in_zone(Part(table.relation, types, is_view=table.is_view), source.times)


def _catalog(con: duckdb.DuckDBPyConnection) -> str:
    """The name of the attached file."""
    attached = "select database_name from duckdb_databases() where not internal and database_name <> 'memory'"
    return str(con.sql(attached).fetchall()[0][0])
