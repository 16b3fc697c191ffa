"""Ad-hoc SQL over the results: reads the warehouse and nothing else."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

import sql
from tasks.core.errors import QueryFailed, WarehouseError
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings

# Table functions that look at nothing outside the warehouse. With external access off some others still do:
# sqlite_scan reads any file, postgres_scan any server, so what is not here is refused.
TABLE_FUNCTIONS = frozenset(
    {
        *(
            "range",
            "generate_series",
            "unnest",
            "repeat",
            "repeat_row",
            "json_each",
            "json_tree",
            "pragma_table_info",
            "pragma_version",
        ),
        *(
            "duckdb_columns",
            "duckdb_databases",
            "duckdb_functions",
            "duckdb_keywords",
            "duckdb_schemas",
            "duckdb_tables",
            "duckdb_types",
        ),
        *("duckdb_views", "ducklake_snapshots", "ducklake_table_info"),
        # the macros of sql/schema/macros.sql
        *("labels_known_at", "label_conflicts_known_at", "labelled_rows", "labelled_counts"),
    }
)
EXPLAIN = re.compile(r"\s*(explain(?:\s+analyze)?)\b(.*)", re.IGNORECASE | re.DOTALL)
ONE_QUERY = "nightscore sql takes one query: select, from, with, values, show, describe, summarize or explain"


@dataclass(frozen=True)
class Answer:
    """The result of a query: column names, and one tuple per row."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def query(warehouse: Warehouse, text: str, as_of: datetime | None = None) -> Answer:
    """Runs one query over the dataset's tables and views, with no way to write, attach, or read anything
    else.

    as_of: instant with a zone; views show what they showed then. Raises WarehouseError where the statement is
    no query or calls a table function that may look elsewhere, QueryFailed where DuckDB refuses it.
    """
    with warehouse.reading(as_of, apart=True) as con:
        _close_off(con, warehouse.settings)
        try:
            result = con.execute(_checked(con, text))
            return Answer([column[0] for column in result.description or []], result.fetchall())
        except duckdb.Error as error:
            raise QueryFailed(str(error).strip()) from error


def _close_off(con: duckdb.DuckDBPyConnection, warehouse: WarehouseSettings) -> None:
    if warehouse.lake is not None:
        con.execute(
            f"set allowed_directories = [{sql.literal(str(warehouse.data))}]"
        )  # a lake's own files count as external too
    con.execute("set python_enable_replacements = false")
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")


def _checked(con: duckdb.DuckDBPyConnection, text: str) -> str:
    """The statement to run: exactly what was parsed and looked at."""
    statements = con.extract_statements(text)
    if len(statements) != 1:
        raise WarehouseError(
            f"{ONE_QUERY}; these are {len(statements)} statements (a pivot needs its values: on x in (...))"
        )
    prefix, inner = "", text
    if statements[0].type == duckdb.StatementType.EXPLAIN and (found := EXPLAIN.fullmatch(text)):
        prefix, inner = found[1] + " ", found[2]
    (serialized,) = con.execute(f"select json_serialize_sql({sql.literal(inner)})").fetchall()[
        0
    ]  # bound, it would import pandas
    parsed = json.loads(serialized)
    if parsed["error"]:
        raise WarehouseError(ONE_QUERY)
    if refused := sorted(set(_table_functions(parsed)) - TABLE_FUNCTIONS):
        raise WarehouseError(
            f"nightscore sql reads the warehouse alone: {', '.join(refused)} may look elsewhere"
        )
    return prefix + inner


def _table_functions(node: Any) -> Iterator[str]:
    """The names of the table functions anywhere in a parsed query."""
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            yield node["function"]["function_name"].lower()
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _table_functions(part)
