"""Inspects an unknown source for `nightscore init`: where its dates are, what its columns hold, and the
probable role of each column.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import duckdb

from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import Dataset, FeatureSettings
from tasks.core.date_path import unescaped
from tasks.core.duckdb_types import is_date, is_timestamp
from tasks.core.errors import SourceError
from tasks.core.source_settings import SourceSettings
from tasks.operations.column_features import guess_features, warnings_of
from tasks.operations.column_looks import create_sample, look_at_columns, words_of
from tasks.operations.column_roles import guess_roles
from tasks.operations.file_source import file_source
from tasks.operations.second_labels import find_second_labels
from tasks.operations.source_look import SourceLook
from tasks.source.connection import connect, list_dates, readable
from tasks.source.look_back import unreadable_dates
from tasks.source.tables import columns_of, find_table, list_tables
from tasks.source.view import SourceView, create_view

SAMPLED_DATES = 7
BIRTHS = frozenset({"dob", "birth", "born", "birthday", "birthdate"})


def look_at(path: str | None, database: str | None, table: str | None) -> SourceLook:
    """Inspects a folder or pattern of Parquet or CSV files, or a table of a DuckDB file.

    Raises SourceError if there are no dates or no rows, or if no column can be the id or a feature.
    """
    ignored: list[str] = []
    if path is not None and database is None:
        source = file_source(path, ignored)
    elif database is not None and path is None:
        source = _table_source(database, table)
    else:
        raise SourceError("name one source: a folder of Parquet or CSV files, or a DuckDB file and its table")
    dates = list_dates(source)
    if not dates:
        raise SourceError(
            f"{unescaped(source.path or source.table or '')} has no rows of any date; name a source that has "
            "some"
        )
    # The configuration is not known yet; to read the source, its section `source` is enough.
    unknown = Dataset(
        name="init", source=source, columns=ColumnSettings(id="_"), features=FeatureSettings(numeric=("_",))
    )
    with connect(source) as con, readable(source, dates[-1]):
        view, days = _sample(con, unknown, spread(dates), ignored)
        columns = look_at_columns(con, view, source.timezone)
        roles, guesses, rivals = guess_roles(columns)
        separations = find_second_labels(con, view, unknown, roles, columns)
    features, others = guess_features(columns, roles, separations, rivals, source.date_column)
    warnings = warnings_of(columns, features, separations)
    return SourceLook(
        source,
        tuple(dates),
        tuple(days),
        columns,
        roles,
        features,
        (*guesses, *others),
        warnings,
        tuple(ignored),
    )


def spread(dates: Sequence[date], count: int = SAMPLED_DATES) -> list[date]:
    """Returns at most so many of these dates, the first, the middle and the newest among them."""
    if len(dates) <= count:
        return list(dates)
    return [dates[round(number * (len(dates) - 1) / (count - 1))] for number in range(count)]


def _sample(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, days: list[date], ignored: list[str]
) -> tuple[SourceView, list[date]]:
    """Creates the table `sample` of the dates that can be read; returns the view of these, and them.

    ignored: gets a sentence about each of the others. Raises SourceError if none can be read.
    """
    try:
        view = create_view(con, dataset, "looked_at", days)
        create_sample(con, view, days)
    except (duckdb.Error, SourceError) as error:
        broken = unreadable_dates(con, dataset, days)
        usable = [day for day in days if day not in {each.date for each in broken}]
        if not broken:
            raise
        if not usable:
            raise SourceError(f"{broken[-1].date}: {broken[-1].reason}; deliver it again") from error
        ignored.extend(f"{each.date} was not looked at: {each.reason}" for each in broken)
        return _sample(con, dataset, usable, ignored)
    return replace(view, checked=()), days  # the sample has what fits the types of CSV files alone


def _table_source(database: str, table: str | None) -> SourceSettings:
    """Returns the source for a table, or for the only one; its date column is the first of dates, else of
    timestamps, but for dates of birth.

    Raises SourceError if the table does not exist or has no such column.
    """
    source = SourceSettings(database=database, table="_", date_column="_")
    with connect(source) as con:
        tables = list_tables(con)
        if table is None and len(tables) != 1:
            named = ", ".join(each.written for each in tables)
            raise SourceError(f"{database} has no single table; name one of: {named}")
        chosen = table or tables[0].written
        source = source.model_copy(update={"table": chosen})
        columns = columns_of(con, source)
        chosen = find_table(con, source).written
    days = {name: kind for name, kind in columns.items() if not BIRTHS & set(words_of(name))}
    dates = [name for name, kind in days.items() if is_date(kind)]
    timestamps = [name for name, kind in days.items() if is_timestamp(kind)]
    if not dates + timestamps:
        raise SourceError(
            f"table {chosen} of {database} has no date or timestamp column; add one, so that its rows can "
            "be assigned to days"
        )
    return SourceSettings(database=database, table=chosen, date_column=(dates + timestamps)[0])
