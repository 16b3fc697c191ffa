"""Connects to the source, files or a DuckDB table, through an in-memory DuckDB connection;
lists its dates and files.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from sql import literal
from tasks.core.dataset import Dataset
from tasks.core.date_path import date_path, unescaped
from tasks.core.errors import DiskFull, SourceError, first_line, is_full
from tasks.core.filesystem import filesystem_of, is_remote
from tasks.core.instances import session
from tasks.core.masking import mask_unconverted
from tasks.core.source_settings import SourceSettings
from tasks.source.csv_files import csv_reason
from tasks.source.file_parts import file_parts
from tasks.source.listing import find_files, match_files
from tasks.source.part import Part
from tasks.source.row_dates import row_date
from tasks.source.tables import attach, table_part

# DuckDB downloads nothing at run time, and a large day spills to disk instead of filling the memory.
DUCKDB_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_file_cache": "false",  # an instance outlives a file, and another may have its time
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
    remote = source.path is not None and is_remote(source.path)
    apart = remote or source.database is not None  # what it changes in the instance itself stays there
    with (
        TemporaryDirectory(prefix="nightscore-") as spill,
        _made() if apart else session("files", _made, _spilled_nothing) as con,
    ):
        con.execute(f"set temp_directory = {literal(spill)}")
        con.execute(f"set timezone = {literal(source.timezone)}")
        if source.database is not None:
            if not Path(source.database).is_file():
                raise SourceError(f"there is no DuckDB file {source.database}; fix source.database")
            try:
                attach(con, source.database)
            except duckdb.Error as error:
                raise SourceError(
                    f"{source.database} cannot be opened for reading: {first_line(error)}"
                ) from error
        elif source.path is not None and remote:
            con.register_filesystem(filesystem_of(source.path))
            # DuckDB plans a query while it holds Python's global lock; its other threads, which read through
            # fsspec, would wait for the lock forever.
            con.execute("set threads = 1")
        yield con


def _made() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config=DUCKDB_CONFIG)


def _spilled_nothing(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the instance can be given another folder to spill to: not after it has used one."""
    try:
        con.execute("set temp_directory = ''")
    except duckdb.NotImplementedException:
        return False
    return True


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
    if broken := _find_unreadable_file(source, days):
        return broken
    return f"{place(source, days[-1])} cannot be read: {_reason(error)}"


def _reason(error: duckdb.Error) -> str:
    return csv_reason(error) or mask_unconverted(first_line(error))  # the value may be private


def place(source: SourceSettings, day: date) -> str:
    """Returns where the rows of a day come from, for messages."""
    if source.path is not None:
        if source.date_column is None:
            return date_path(source.path).shown(day)
        return f"{unescaped(source.path)} where {source.date_column} = {day}"
    return f"table {source.table} of {source.database} where {source.date_column} = {day}"


def list_dates(source: SourceSettings) -> list[date]:
    """Returns every date of the source, in order. Raises SourceError if the source cannot be read."""
    if source.path is not None and source.date_column is None:
        dated = date_path(source.path)
        found = {dated.date_of(file) for file in find_files([dated.any_date])}
        return sorted(day for day in found if day is not None)
    with connect(source) as con:
        try:
            days = [day for part in every_part(con, source) for day in _dates_of(con, source, part)]
        except duckdb.Error as error:
            if broken := _find_unreadable_file(source, ()):
                raise SourceError(f"{broken}; deliver it again") from error
            where = unescaped(source.path or f"table {source.table} of {source.database}")
            reason = mask_unconverted(first_line(error))
            raise SourceError(
                f"{source.date_column} in {where} cannot be read: {reason}; fix it or source.date_column"
            ) from error
    return sorted(set(days))


def every_part(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> list[Part]:
    """Returns all rows of a source with a date column."""
    if source.path is None:
        return [table_part(con, source)]
    files = list_files(source, ())
    return list(file_parts(con, source, dict.fromkeys(files))) if files else []


def _dates_of(con: duckdb.DuckDBPyConnection, source: SourceSettings, part: Part) -> list[date]:
    day = row_date(source, part.types, part.files[0] if part.files else f"table {source.table}")
    rows = con.sql(f"select distinct {day} from {part.relation}").fetchall()
    return [row[0] for row in rows if row[0] is not None]


def _find_unreadable_file(source: SourceSettings, days: Sequence[date]) -> str | None:
    """Returns the first file of these dates that cannot be read completely, and why; None if all can."""
    with connect(source) as con:
        for file in list_files(source, days) if source.path is not None else []:
            try:
                for part in file_parts(con, source, {file: None}):
                    con.sql(f"select sum(hash(columns(*))) from {part.relation}").fetchall()
            except duckdb.Error as error:
                return f"{file} cannot be read: {_reason(error)}"
    return None


def list_files(source: SourceSettings, days: Sequence[date]) -> list[str]:
    """Returns the files of these dates, each once, ordered by date and name; all files where the date is in a
    column. See `find_files`.
    """
    if source.path is not None and source.date_column is not None:
        return find_files([source.path])
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
