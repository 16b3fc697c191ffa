"""Files as parts, whatever their format."""

from collections.abc import Iterator, Mapping
from datetime import date

import duckdb

from tasks.core.filesystem import is_file
from tasks.core.source_settings import SourceSettings
from tasks.source.csv_files import csv_parts
from tasks.source.parquet_files import parquet_parts
from tasks.source.part import Part, in_zone


def file_parts(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, dated: Mapping[str, date | None]
) -> Iterator[Part]:
    """Yields the rows of files of a source by their dates and columns.

    Raises duckdb.Error if one cannot be read.
    """
    if odd := next((file for file in dated if not is_file(file)), None):
        raise duckdb.IOException(f"{odd} is a folder or a pipe, and no file")
    parts = csv_parts(con, source, dated) if source.is_csv else parquet_parts(con, dated)
    yield from (in_zone(part, source.times) for part in parts)
