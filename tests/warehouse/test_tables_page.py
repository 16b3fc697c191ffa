"""docs/tables.md is what `make docs` writes, and has every column of every table and view."""

import re
from pathlib import Path

import duckdb

import sql
from tasks.warehouse.tables_page import tables_page

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def test_the_page_of_the_tables_is_what_make_docs_writes() -> None:
    assert PAGE.read_text() == tables_page(), "run `make docs`"


def test_it_has_every_column_and_the_grain_of_every_table_and_view() -> None:
    with duckdb.connect() as con:
        for name in ("tables", "macros", "views"):
            con.execute(sql.read(f"schema/{name}"))
        made = con.execute(
            "select table_name, column_name from duckdb_columns() where not internal order by all"
        ).fetchall()
    parts = {part.partition("\n")[0].partition("(")[0]: part for part in tables_page().split("\n### ")[1:]}
    assert len(made) > 150
    assert [(name, column) for name, column in made if f"`{column}`" not in parts[name]] == []
    assert [name for name, part in parts.items() if not re.match(r".*\n\nGrain: ", part)] == []
