"""Parquet files, read as parts: those with the same columns together."""

from collections.abc import Iterator, Mapping
from datetime import date

import duckdb
from duckdb.sqltypes import SQLNULL, DuckDBPyType

from sql import folded, identifier, literal
from tasks.core.filesystem import exact_pattern
from tasks.source.part import Part, as_utc, date_literal

NULL = '"NULL"'  # the type of a Parquet column that was written without one, since all its values are null
# Of a file: its name, its type, how many columns are its parts, and whether it is INT96.
Column = tuple[str, str | None, int, bool]
Columns = tuple[Column, ...]


def parquet_parts(con: duckdb.DuckDBPyConnection, dated: Mapping[str, date | None]) -> Iterator[Part]:
    """Yields files by their date and columns. Files without rows are left out, unless no file has any.

    Raises duckdb.Error if a file cannot be read.
    """
    types: dict[Columns, dict[str, DuckDBPyType]] = {}
    for (day, columns), alike in _files_by_columns(con, dated).items():
        if columns not in types:
            types[columns] = _types(con, columns, alike[-1])
        listed = [literal(exact_pattern(file)) for file in alike]
        relation = f"read_parquet([{', '.join(listed)}], hive_partitioning = false)"
        # Literals instead of parameters: DuckDB reads a relation with parameters into memory for a view.
        part = Part(relation, types[columns], date_literal(day), files=tuple(alike))
        yield as_utc(part, [name for name, _, _, is_int96 in _top_level(columns) if is_int96])


def _types(con: duckdb.DuckDBPyConnection, columns: Columns, file: str) -> dict[str, DuckDBPyType]:
    """Returns the type of each column of a file with these columns."""
    found = con.sql(f"from read_parquet({literal(exact_pattern(file))}, hive_partitioning = false)")
    untyped = [kind == NULL for _, kind, _, _ in _top_level(columns)] or [False] * len(found.columns)
    return {
        name: SQLNULL if is_null else kind
        for name, kind, is_null in zip(found.columns, found.types, untyped, strict=True)
    }


def united_part(con: duckdb.DuckDBPyConnection, dated: Mapping[str, date]) -> Part:
    """Returns the files of these dates as DuckDB unites them."""
    exact = [literal(exact_pattern(file)) for file in dated]
    listed = f"[{', '.join(exact)}], hive_partitioning = false, union_by_name = true"
    found = con.sql(f"from read_parquet({listed})")
    types = dict(zip(found.columns, found.types, strict=True))
    file = "file"
    while file in map(folded, types):
        file += "_"
    days = ", ".join(f"{literal(name)}: date '{day}'" for name, day in dated.items())
    date_of_file = f"map {{{days}}}[{identifier(file)}]"
    return Part(f"read_parquet({listed}, filename = {literal(file)})", types, date_of_file)


def _files_by_columns(
    con: duckdb.DuckDBPyConnection, dated: Mapping[str, date | None]
) -> dict[tuple[date | None, Columns], list[str]]:
    """Returns the files by their date and by their columns with their types: a union of files with other
    types would change values before they can be read. Where the columns differ, files without rows are left
    out: what types they write says nothing.
    """
    files = list(dated)
    exact = ", ".join(literal(exact_pattern(file)) for file in files)
    described = con.sql(
        f"""
        select
            file_name,
            list(
                (name, duckdb_type, coalesce(num_children, 0), coalesce(type = 'INT96', false))
                order by column_id
            ) filter (column_id > 0),
        from parquet_schema([{exact}])
        group by file_name
        """
    ).fetchall()
    columns = {file: tuple(found or ()) for file, found in described}
    if len(set(columns.values())) > 1:
        counts = con.sql(f"select file_name, num_rows from parquet_file_metadata([{exact}])").fetchall()
        filled = {file for file, rows in counts if rows}
        files = [file for file in files if file in filled] or files
    groups: dict[tuple[date | None, Columns], list[str]] = {}
    for file in files:
        groups.setdefault((dated[file], columns[file]), []).append(file)
    return groups


def _top_level(columns: Columns) -> Iterator[Column]:
    """Yields the columns of a file without those that are parts of another."""
    inside = 0
    for column in columns:
        if inside:
            inside += column[2] - 1
            continue
        yield column
        inside = column[2]
