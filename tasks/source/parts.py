"""What the rows of some dates are read from: files with the same columns, or a table."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import duckdb

from sql import folded
from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionMissing
from tasks.core.source_settings import SourceSettings
from tasks.source.connection import list_dated_files, list_dates, list_files, place
from tasks.source.file_parts import file_parts
from tasks.source.parquet_files import united_part
from tasks.source.part import Part
from tasks.source.row_dates import of_dates, with_rows
from tasks.source.tables import table_part


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
    return [_spelled(part, spelled) for part in parts]


def _spelled(part: Part, spelled: dict[str, str]) -> Part:
    return replace(
        part,
        types={spelled[folded(name)]: kind for name, kind in part.types.items()},
        unfit={spelled[folded(name)]: column for name, column in part.unfit.items()},
    )


def _parts(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, days: Sequence[date], united: bool
) -> Iterator[Part]:
    if source.path is None:
        yield of_dates(source, table_part(con, source), f"table {source.table}", days)
        return
    if source.date_column is not None:
        if not (every := list_files(source, days)):
            raise PartitionMissing(f"{days[-1]}: there are no files at {place(source, days[-1])}")
        yield from with_rows(con, source, list(file_parts(con, source, dict.fromkeys(every))), days)
        return
    dated = {file: day for day, file in list_dated_files(source, days)}
    if days[-1] not in dated.values():
        raise PartitionMissing(
            f"{days[-1]}: there is no partition at {place(source, days[-1])}; {_span(source)}"
        )
    if united:
        yield united_part(con, dated)
        return
    # One read per date. A read of several dates could tell them apart by DuckDB's option `filename` alone,
    # which fails, or skips files, where the source has a column of that name.
    yield from file_parts(con, source, dated)


def _span(source: SourceSettings) -> str:
    if not (known := list_dates(source)):
        return "the source has no dates at all"
    return f"the source has {len(known)} dates, {known[0]}..{known[-1]}"
