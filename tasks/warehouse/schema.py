"""The schema of a dataset: created where it is missing, and brought to the format of this version of
Nightscore.
"""

from collections.abc import Callable, Collection
from importlib import metadata

import duckdb

import sql
from tasks.core.errors import WarehouseError
from tasks.warehouse.statements import execute, row

CANONICAL = 3  # the first format that stores ids and entities as canonical text
# of tables, macros and views; sql/schema/migrate_to_<format>.sql leads there from the format before
FORMAT = 7

NumericRoles = Callable[[], Collection[str]]


def product_version() -> str:
    """The version of Nightscore that is running."""
    return metadata.version("nightscore")


def read_format(con: duckdb.DuckDBPyConnection, name: str) -> int | None:
    """Returns the format of a dataset's schema; None where there is no such schema.

    The first format had no table that says so. Raises WarehouseError where another dataset has the same name
    to DuckDB, which does not tell Cards from cards.
    """
    # Values that are bound would make DuckDB import pandas.
    alike = f"database_name = 'warehouse' and lower(schema_name) = lower({sql.literal(name)})"
    found = con.execute(f"select schema_name from duckdb_schemas() where {alike}").fetchone()
    if found is None:
        return None
    if found[0] != name:
        raise WarehouseError(
            f"the warehouse holds a dataset {found[0]}, and DuckDB takes {name} for the same name; write "
            f'name = "{found[0]}" for that dataset, or choose another name'
        )
    schema = f"database_name = 'warehouse' and schema_name = {sql.literal(name)}"
    table = f"select 1 from duckdb_tables() where {schema} and table_name = 'warehouse_format'"
    if con.execute(table).fetchone() is None:
        return 1
    stored = con.execute(
        f"select max(format) from warehouse.{sql.identifier(name)}.warehouse_format"
    ).fetchone()
    return int(stored[0]) if stored else 1


def bring_up_to_date(
    con: duckdb.DuckDBPyConnection, place: str, name: str, numeric_roles: NumericRoles | None = None
) -> None:
    """Creates or migrates a dataset's schema, in the transaction that is open.

    numeric_roles: returns which of the roles id and entity are columns of numbers in the source; it is asked
        where an earlier version has stored ids that may be numbers, such as 7.0 for 7.
    Raises WarehouseError where the schema is of a format that a newer Nightscore wrote.
    """
    stored = read_format(con, name)
    if stored == FORMAT:
        return
    if stored is not None and stored > FORMAT:
        raise WarehouseError(
            f"{place} holds {name} in format {stored}, and this version of Nightscore knows formats up "
            f"to {FORMAT}; "
            "install the version that wrote it, or a newer one"
        )
    if stored is None:
        con.execute(f"create schema warehouse.{sql.identifier(name)}")
    con.execute(f"use warehouse.{sql.identifier(name)}")
    if stored is None:
        execute(con, "schema/tables")
        con.execute("insert into publish_lock values (now())")
    for number in range((stored or FORMAT) + 1, FORMAT + 1):
        execute(con, f"schema/migrate_to_{number}")
    if stored is not None and stored < CANONICAL:
        _make_canonical(con, place, name, numeric_roles)
    execute(con, "schema/macros")
    execute(con, "schema/views")
    execute(con, "schema/insert_format", format=FORMAT, product_version=product_version())


def _make_canonical(
    con: duckdb.DuckDBPyConnection, place: str, name: str, numeric_roles: NumericRoles | None
) -> None:
    """Rewrites the ids and entities that an earlier version took from columns of floats or decimals.

    Raises WarehouseError where there are such ids and it cannot be asked whether their columns hold numbers.
    """
    found = row(con, "schema/find_written_numbers")
    if found is None:
        return
    if numeric_roles is None:
        raise WarehouseError(
            f"{place} holds ids of {name} such as {found['written']!r}, which an earlier version has stored; "
            "open it once with `nightscore run`, which looks up whether they are numbers in the source"
        )
    for role in numeric_roles():
        execute(con, f"schema/rewrite_{role}_numbers")
