"""What the rows of some dates are read from: files with the same columns, or a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import duckdb
from duckdb.sqltypes import SQLNULL, DuckDBPyType

from sql import folded, identifier, literal
from tasks.core.dataset import Dataset, SourceSettings
from tasks.core.errors import PartitionMissing
from tasks.core.filesystem import exact_pattern, is_file
from tasks.source.connection import list_dated_files, list_dates, place
from tasks.source.tables import columns_of, find_table, table_date

NULL = '"NULL"'  # the type of a Parquet column that was written without one, since all its values are null
Column = tuple[str, str | None, int]  # of a file: its name, its type, and how many columns are its parts
Columns = tuple[Column, ...]


@dataclass(frozen=True)
class Part:
    """Rows with the same columns.

    relation: what they are read from. types: of a column that is null in all rows it is SQLNULL, where the
    file says so. date: an SQL expression for their date. where: the condition for the dates. files: where
    they are from. is_view: whether that is a view of DuckDB.
    """

    relation: str
    types: dict[str, DuckDBPyType]
    date: str
    where: str = "true"
    files: tuple[str, ...] = ()
    is_view: bool = False


def read_parts(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, days: Sequence[date], united: bool
) -> list[Part]:
    """Returns the parts that hold the rows of these dates. Files without rows are left out, unless no file
    has any. A column has the same name in all parts: DuckDB does not tell capital letters from small ones.

    united: whether DuckDB unites files whose columns differ in type.
    Raises PartitionMissing if the last date has no partition, SourceError if the source cannot be listed.
    """
    parts = list(_parts(con, dataset.source, days, united))
    spelled = {folded(name): name for part in parts for name in part.types}
    configured = (dataset.source.date_column or dataset.columns.id, *dataset.source_columns)
    spelled |= {folded(name): name for name in configured if folded(name) in spelled}
    return [
        replace(part, types={spelled[folded(name)]: kind for name, kind in part.types.items()})
        for part in parts
    ]


def _parts(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, days: Sequence[date], united: bool
) -> Iterator[Part]:
    if source.path is None:
        types = columns_of(con, source)
        table, day = find_table(con, source), table_date(source, types)
        dates = ", ".join(f"date '{each}'" for each in days)
        where = f"{day} between date '{min(days)}' and date '{max(days)}' and {day} in ({dates})"
        yield Part(table.relation, types, day, where, is_view=table.is_view)
        return
    dated = {file: day for day, file in list_dated_files(source, days)}
    files = list(dated)
    if odd := next((file for file in files if not is_file(file)), None):
        raise duckdb.IOException(f"{odd} is a folder or a pipe, and no file")
    if days[-1] not in dated.values():
        known = list_dates(source)
        span = (
            f"the source has {len(known)} dates, {known[0]}..{known[-1]}"
            if known
            else "the source has no dates at all"
        )
        raise PartitionMissing(f"{days[-1]}: there is no partition at {place(source, days[-1])}; {span}")
    if united:
        yield _united_part(con, dated)
        return
    # One read per date. A read of several dates could tell them apart by DuckDB's option `filename` alone,
    # which fails, or skips files, where the source has a column of that name.
    for (on, columns), alike in _files_by_columns(con, dated).items():
        listed = [literal(exact_pattern(file)) for file in alike]
        relation = f"read_parquet([{', '.join(listed)}], hive_partitioning = false)"
        one = con.sql(f"from read_parquet({listed[-1]}, hive_partitioning = false)")
        untyped = [kind == NULL for _, kind, _ in _top_level(columns)] or [False] * len(one.columns)
        types = {
            name: SQLNULL if is_null else kind
            for name, kind, is_null in zip(one.columns, one.types, untyped, strict=True)
        }
        # Literals instead of parameters: DuckDB reads a relation with parameters into memory for a view.
        yield Part(relation, types, f"date '{on}'", files=tuple(alike))


def _united_part(con: duckdb.DuckDBPyConnection, dated: Mapping[str, date]) -> Part:
    exact = [literal(exact_pattern(file)) for file in dated]
    listed = f"[{', '.join(exact)}], hive_partitioning = false, union_by_name = true"
    found = con.sql(f"from read_parquet({listed})")
    file, types = "file", dict(zip(found.columns, found.types, strict=True))
    while file in map(folded, types):
        file += "_"
    days = ", ".join(f"{literal(name)}: date '{day}'" for name, day in dated.items())
    date_of_file = f"map {{{days}}}[{identifier(file)}]"
    return Part(f"read_parquet({listed}, filename = {literal(file)})", types, date_of_file)


def _files_by_columns(
    con: duckdb.DuckDBPyConnection, dated: Mapping[str, date]
) -> dict[tuple[date, Columns], list[str]]:
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
            list((name, duckdb_type, coalesce(num_children, 0)) order by column_id) filter (column_id > 0),
        from parquet_schema([{exact}])
        group by file_name
        """
    ).fetchall()
    columns = {file: tuple(found or ()) for file, found in described}
    if len(set(columns.values())) > 1:
        counts = con.sql(f"select file_name, num_rows from parquet_file_metadata([{exact}])").fetchall()
        filled = {file for file, rows in counts if rows}
        files = [file for file in files if file in filled] or files
    groups: dict[tuple[date, Columns], list[str]] = {}
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
