"""Which date a row belongs to, by `source.date_column`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import duckdb
from duckdb.sqltypes import DuckDBPyType

from sql import folded, identifier, literal
from tasks.core.duckdb_types import has_time_zone, is_text, is_timestamp
from tasks.core.errors import SourceError
from tasks.core.source_settings import SourceSettings
from tasks.source.part import Part

MARGIN = timedelta(days=2)  # more than any zone is from UTC


def row_date(source: SourceSettings, columns: Mapping[str, DuckDBPyType], place: str) -> str:
    """Returns an SQL expression for the date of a row of a place with these columns.

    Raises SourceError if the date column is not among them.
    """
    kind, column = _date_column(source, columns, place)
    if is_text(kind) and source.times == "utc":
        raise SourceError(
            f"{place}: column {source.date_column} is text, and source.times is utc; deliver timestamps, or "
            "a column of dates for source.date_column"
        )
    if has_time_zone(kind):
        return f"cast(timezone({literal(source.timezone)}, {column}) as date)"
    return f"cast({column} as date)"


def of_dates(source: SourceSettings, part: Part, place: str, days: Sequence[date]) -> Part:
    """Returns the rows of a part that belong to these dates.

    Raises SourceError, naming the last of them, if it has no date column.
    """
    try:
        kind, column = _date_column(source, part.types, place)
        day = row_date(source, part.types, place)
    except SourceError as error:
        raise SourceError(f"{max(days)}: {error}") from error
    dates = ", ".join(f"date '{each}'" for each in days)
    where = f"{day} between date '{min(days)}' and date '{max(days)}' and {day} in ({dates})"
    if is_timestamp(kind):  # on the column itself, so that whole row groups are skipped
        first, last = min(days) - MARGIN, max(days) + MARGIN
        where = f"{column} between timestamp '{first}' and timestamp '{last}' and {where}"
    return replace(part, date=day, where=where)


def with_rows(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, parts: Sequence[Part], days: Sequence[date]
) -> Iterator[Part]:
    """Yields the rows of files that belong to these dates, without the parts that have none: what is wrong
    with their columns is no matter of these dates. All parts if none has any.
    """
    dated = [of_dates(source, part, part.files[0], days) for part in parts]
    found = [
        part
        for part in dated
        if con.sql(f"select 1 from {part.relation} where {part.where} limit 1").fetchone() is not None
    ]
    yield from found or dated


def _date_column(
    source: SourceSettings, columns: Mapping[str, DuckDBPyType], place: str
) -> tuple[DuckDBPyType, str]:
    """Returns the type of the date column, and its quoted name."""
    assert source.date_column is not None
    types = {folded(name): kind for name, kind in columns.items()}
    if (kind := types.get(folded(source.date_column))) is None:
        raise SourceError(f"{place} has no column {source.date_column}; fix it, or source.date_column")
    return kind, identifier(source.date_column)
