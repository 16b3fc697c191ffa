"""What of a source belongs to no date, and so to no night; it is counted and named: nobody would miss it."""

from tasks.core.date_path import date_path
from tasks.core.source_settings import SourceSettings
from tasks.source.connection import connect, every_part
from tasks.source.listing import find_files
from tasks.source.row_dates import row_date


def undated_rows(source: SourceSettings) -> str | None:
    """Returns how many rows of a source with a date column have no date in it, null or not of its type, in a
    sentence; None if none.

    Raises SourceError or duckdb.Error if the source cannot be read.
    """
    if source.date_column is None:
        return None
    rows, places = 0, list[str]()
    with connect(source) as con:
        for part in every_part(con, source):
            place = part.files[0] if part.files else f"table {source.table}"
            day = row_date(source, part.types, place)
            found = con.sql(f"select count(*) from {part.relation} where {day} is null").fetchall()[0][0]
            rows, places = rows + found, [*places, *([place] if found else [])]
    if not rows:
        return None
    return f"{rows:,} rows have no date in {source.date_column}, and are in no night; some are in {places[0]}"


def undated_files(source: SourceSettings) -> str | None:
    """Returns how many files that the path of a source matches have no date in their path, or two, in a
    sentence; None if none. Raises SourceError if the files cannot be listed.
    """
    if source.path is None or source.date_column is not None:
        return None
    dated = date_path(source.path)
    lost = [file for file in find_files([dated.any_date]) if dated.date_of(file) is None]
    if not lost:
        return None
    return f"{len(lost):,} files have no date in their path, or two, and are in no night; such as {lost[0]}"
