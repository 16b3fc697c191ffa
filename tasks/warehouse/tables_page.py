"""Writes docs/tables.md from the comments of sql/schema: `make docs`."""

import re
import sys
from collections.abc import Iterator

import duckdb

import sql

INTRODUCTION = """# Tables, views and macros

<!-- Written by `make docs` from the comments of sql/schema; change these instead. -->

Each dataset has a schema of its name in the warehouse. Start with the views: `scores`, `alerts` and `daily`.
[Eleven questions in SQL](queries.md) use them, and [warehouse](warehouse.md) says how to look back at an
instant. A column of a view that is a column of a table has the meaning that the table gives it.

Timestamps with a zone are instants; dates are the source's business dates. *Encoded units* are standard
deviations of a numeric feature on the training rows.
"""
BLOCK = re.compile(
    r"((?:^-- [^\n]*\n)+)"  # its comment
    r"create (?:or replace |table if not exists )(view |macro |)(\w+)(\([^\n)]*\))?(?: as table| as| \()\n"
    r"(.*?;)$",
    re.MULTILINE | re.DOTALL,
)
COLUMN = re.compile(r"^( +)(\w+) (struct\(|[\w\[\] ]+?),?\s*(?:-- (.*))?$")
KINDS = {"view ": "Views", "": "Tables", "macro ": "Macros"}


def tables_page() -> str:
    """Returns the page: every view, then every table and macro, with its grain and columns."""
    blocks = [
        found
        for name in ("views", "tables", "macros")
        for found in BLOCK.findall(sql.read(f"schema/{name}"))
        if found[0].startswith("-- Grain")
    ]
    with duckdb.connect() as con:
        for name in ("tables", "macros", "views"):
            con.execute(sql.read(f"schema/{name}"))
        parts = [INTRODUCTION]
        for kind, title in KINDS.items():
            parts.append(f"## {title}\n")
            for comment, found, name, parameters, body in blocks:
                if found == kind:
                    parts += _part(con, name, parameters, comment, body if kind == "" else None)
    return "\n".join(parts)


def _part(
    con: duckdb.DuckDBPyConnection, name: str, parameters: str, comment: str, body: str | None
) -> Iterator[str]:
    """body: the definition of a table's columns; of views and macros, DuckDB knows them."""
    yield f"### {name}{parameters}\n"
    yield _prose(comment)
    if body is not None:
        yield "| column | type | meaning |\n|---|---|---|"
        yield from _table_columns(body)
    else:
        columns = con.execute(f"describe from {name}{'(null)' if parameters else ''}").fetchall()
        yield "Columns: " + ", ".join(f"`{column}` {_type(kind)}" for column, kind, *_ in columns) + "."
    yield ""


def _prose(comment: str) -> str:
    return " ".join(line.removeprefix("-- ") for line in comment.splitlines()) + "\n"


def _table_columns(body: str) -> Iterator[str]:
    above, outer = "", ""
    for line in body.splitlines():
        if line.lstrip().startswith("-- "):
            above += line.lstrip("- ") + " "
        elif line.strip().startswith(")"):
            outer = ""
        elif found := COLUMN.match(line):
            _, name, kind, beside = found.groups()
            is_struct = kind == "struct("
            meaning = (above + (beside or "")).strip().replace("|", "\\|")
            yield f"| `{outer}{name}` | {'list of structs' if is_struct else kind} | {meaning} |"
            above, outer = "", f"{name}[]." if is_struct else outer


def _type(kind: str) -> str:
    return "list of structs" if kind.startswith("STRUCT") else kind.lower().replace(" with time zone", "tz")


if __name__ == "__main__":
    sys.stdout.write(tables_page())
