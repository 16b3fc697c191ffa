"""Connects to the source, daily Parquet partitions or a DuckDB table, through an in-memory DuckDB connection;
lists its dates and files.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from sql import literal
from tasks.core.dataset import Dataset, SourceSettings
from tasks.core.date_path import date_path
from tasks.core.errors import DiskFull, SourceError, first_line, is_full
from tasks.core.filesystem import exact_pattern, filesystem_of, is_file, is_remote
from tasks.core.masking import mask_unconverted
from tasks.source.listing import find_files, match_files
from tasks.source.tables import attach, columns_of, find_table, table_date

# DuckDB downloads nothing at run time, and a large day spills to disk instead of filling the memory.
DUCKDB_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "1GB",
    "python_enable_replacements": "false",  # a view of the source that names a variable of ours
}


def first_history_date(dataset: Dataset, day: date) -> date:
    """Returns the first date that the features of a day depend on."""
    return day - timedelta(days=dataset.source.lookback_days) if dataset.features.sql else day


@contextmanager
def connect(source: SourceSettings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yields an in-memory connection that can read the source; its spilled files are removed with it.

    Where a timestamp without a zone is compared with one that has a zone, it counts as local time of
    `source.timezone`.
    Raises SourceError if the DuckDB file is missing or held by a writer.
    """
    with (
        TemporaryDirectory(prefix="nightscore-") as spill,
        duckdb.connect(config=DUCKDB_CONFIG | {"temp_directory": spill}) as con,
    ):
        con.execute(f"set timezone = {literal(source.timezone)}")
        # A file is opened several times: for its columns, then for its rows.
        con.execute("set parquet_metadata_cache = true")
        if source.database is not None:
            if not Path(source.database).is_file():
                raise SourceError(f"there is no DuckDB file {source.database}; fix source.database")
            try:
                attach(con, source.database)
            except duckdb.Error as error:
                raise SourceError(
                    f"{source.database} cannot be opened for reading: {first_line(error)}"
                ) from error
        elif source.path is not None and is_remote(source.path):
            con.register_filesystem(filesystem_of(source.path))
            # DuckDB plans a query while it holds Python's global lock; its other threads, which read through
            # fsspec, would wait for the lock forever.
            con.execute("set threads = 1")
        yield con


@contextmanager
def readable(source: SourceSettings, *days: date) -> Iterator[None]:
    """Turns an error of DuckDB about unreadable data into a SourceError that names the last of these dates
    and the broken file.
    """
    try:
        yield
    except duckdb.Error as error:
        if is_full(error):  # of what is written meanwhile
            raise DiskFull(f"{days[-1]}: {first_line(error)}; make some space and run again") from error
        raise SourceError(
            f"{days[-1]}: {unreadable_reason(source, days, error)}; deliver it again"
        ) from error


def unreadable_reason(source: SourceSettings, days: Sequence[date], error: duckdb.Error) -> str:
    """Returns what cannot be read of these dates, the broken file or the last date's place, and why."""
    broken = _find_unreadable_file(source, days) or place(source, days[-1])
    return f"{broken} cannot be read: {mask_unconverted(first_line(error))}"  # the value may be private


def place(source: SourceSettings, day: date) -> str:
    """Returns where the rows of a day come from, for messages."""
    if source.path is not None:
        return date_path(source.path).shown(day)
    return f"table {source.table} of {source.database} where {source.date_column} = {day}"


def list_dates(source: SourceSettings) -> list[date]:
    """Returns every date of the source, in order. Raises SourceError if the source cannot be read."""
    if source.path is not None:
        dated = date_path(source.path)
        found = {dated.date_of(file) for file in find_files([dated.any_date])}
        return sorted(day for day in found if day is not None)
    with connect(source) as con:
        day = table_date(source, columns_of(con, source))
        try:
            rows = con.sql(
                f"select distinct {day} as d from {find_table(con, source).relation} order by d"
            ).fetchall()
        except duckdb.Error as error:
            column = f"{source.date_column} in table {source.table} of {source.database}"
            reason = mask_unconverted(first_line(error))
            raise SourceError(
                f"{column} cannot be read: {reason}; fix the table or source.date_column"
            ) from error
    return [row[0] for row in rows if row[0] is not None]


def _find_unreadable_file(source: SourceSettings, days: Sequence[date]) -> str | None:
    """Returns the first Parquet file of these dates that cannot be read completely; None if all can."""
    with connect(source) as con:
        for file in list_files(source, days) if source.path is not None else []:
            if not is_file(file):
                return file
            try:
                con.sql(
                    f"select sum(hash(columns(*))) from read_parquet({literal(exact_pattern(file))})"
                ).fetchall()
            except duckdb.Error:
                return file
    return None


def list_files(source: SourceSettings, days: Sequence[date]) -> list[str]:
    """Returns the Parquet files of these dates, each once, ordered by date and name; see `find_files`."""
    return [file for day, file in list_dated_files(source, days)]


def list_dated_files(source: SourceSettings, days: Sequence[date]) -> list[tuple[date, str]]:
    """Returns the files of these dates, each once and with its date, ordered by date and name."""
    assert source.path is not None
    dated = date_path(source.path)
    patterns = [(day, pattern) for day in dict.fromkeys(days) for pattern in dated.patterns(day)]
    found = match_files([pattern for _, pattern in patterns]) if patterns else []
    return sorted(
        {
            (day, file)
            for (day, _), files in zip(patterns, found, strict=True)
            for file in files
            if dated.date_of(file) == day
        }
    )
