"""Inspects an unknown source for `nightscore init`: where its dates are, what its columns hold, and the
probable role of each column.

`look_at` guesses all of it; `render_toml` writes the guesses, each with the evidence, as a configuration to
correct by hand.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
from duckdb.sqltypes import DuckDBPyType
from jinja2 import Environment, StrictUndefined

from sql import identifier
from tasks.core.dataset import ColumnSettings, Dataset, FeatureSettings, SourceSettings
from tasks.core.date_path import unescaped
from tasks.core.duckdb_types import is_bytes, is_date, is_float, is_number, is_timestamp
from tasks.core.errors import SourceError
from tasks.operations.column_roles import MAX_CATEGORIES, ColumnLook, guess_features, guess_roles
from tasks.operations.file_source import file_source
from tasks.source.connection import connect, list_dates, readable
from tasks.source.tables import columns_of, find_table, list_tables
from tasks.source.view import SourceView, create_view

SAMPLED_DATES, SAMPLED_ROWS = 7, 200_000
MIN_POSITIVES = 5  # with fewer, almost any rare value seems to predict the label


@dataclass(frozen=True)
class SourceLook:
    """What was found in a source, and what is guessed from it.

    columns: every column, from a sample of the newest rows.
    roles, features: the guesses. left_out: every other column, with the reason why it is not a feature.
    """

    source: SourceSettings
    dates: tuple[date, ...]
    columns: tuple[ColumnLook, ...]
    roles: ColumnSettings
    features: FeatureSettings
    left_out: dict[str, str]

    def column(self, name: str) -> ColumnLook:
        return next(column for column in self.columns if column.name == name)


def look_at(path: str | None, database: str | None, table: str | None) -> SourceLook:
    """Inspects a folder or pattern of Parquet or CSV files, or a table of a DuckDB file.

    Raises SourceError if there are no dates or no rows, or if no column can be the id or a feature.
    """
    if path is not None and database is None:
        source = file_source(path)
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
        view = create_view(con, unknown, "recent", dates[-SAMPLED_DATES:])
        _create_sample(con, view)
        columns = tuple(_look_at_column(con, name, kind) for name, kind in view.types.items())
        roles = guess_roles(columns)
        second_labels = _find_second_labels(con, columns, roles.label) if roles.label else frozenset()
    features, left_out = guess_features(columns, roles, second_labels)
    return SourceLook(source, tuple(dates), columns, roles, features, left_out)


def render_toml(look: SourceLook, name: str) -> str:
    """Returns a commented configuration that loads without changes, each guess with its evidence."""
    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (no HTML)
    )
    # JSON strings and arrays are valid TOML.
    environment.filters["toml"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(
        (Path(__file__).parent / "templates" / "nightscore.toml.j2").read_text(encoding="utf-8")
    )
    missing = (look.dates[-1] - look.dates[0]).days + 1 - len(look.dates)
    return template.render(look=look, name=name, missing=missing, roles=("time", "entity", "label", "weight"))


def _table_source(database: str, table: str | None) -> SourceSettings:
    """Returns the source for a table, or for the only one; its date column is the first of dates, else of
    timestamps.

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
    dates = [name for name, kind in columns.items() if is_date(kind)]
    timestamps = [name for name, kind in columns.items() if is_timestamp(kind)]
    if not dates + timestamps:
        raise SourceError(
            f"table {chosen} of {database} has no date or timestamp column; add one, so that its rows can "
            "be assigned to days"
        )
    return SourceSettings(database=database, table=chosen, date_column=(dates + timestamps)[0])


def _create_sample(con: duckdb.DuckDBPyConnection, view: SourceView) -> None:
    """Creates the table `sample`: SAMPLED_ROWS rows of the newest dates, with the number of bytes in place of
    bytes.
    """
    columns = ", ".join(
        f"octet_length({identifier(name)}) as {identifier(name)}" if is_bytes(kind) else identifier(name)
        for name, kind in view.types.items()
    )
    con.execute(
        f"""
        create temp table sample as
        with days as (
            select
                {view.date} as day,
                sum(count(*)) over (order by {view.date} desc) - count(*) as newer_rows
            from recent group by {view.date}
        )
        select {columns}
        from recent
        where {view.date} in (select day from days where newer_rows < $rows)
        limit $rows
        """,
        {"rows": SAMPLED_ROWS},
    )


def _look_at_column(con: duckdb.DuckDBPyConnection, name: str, kind: DuckDBPyType) -> ColumnLook:
    column = identifier(name)
    present = f"{column} is not null" + (f" and not isnan({column})" if is_float(kind) else "")
    span = f"min({column})::double, max({column})::double" if is_number(kind) else "null, null"
    rows, found, distinct, smallest, largest = con.sql(
        f"select (select count(*) from sample), count(*), count(distinct {column}), {span} from sample "
        f"where {present}"
    ).fetchall()[0]
    return ColumnLook(name, kind, rows, rows - found, distinct, smallest, largest)


def _find_second_labels(
    con: duckdb.DuckDBPyConnection, columns: tuple[ColumnLook, ...], label: str
) -> frozenset[str]:
    """Returns the columns with few values that predict the label almost perfectly: such a column is probably
    known only when the label is.
    """
    return frozenset(
        column.name
        for column in columns
        if column.name != label and column.distinct <= MAX_CATEGORIES and _predicts(con, column.name, label)
    )


def _predicts(con: duckdb.DuckDBPyConnection, name: str, label: str) -> bool:
    """Whether predicting the majority label of each value of a column makes at most one mistake for every
    twenty positives.
    """
    mistakes, positives = con.sql(
        f"""
        with labelled as (
            select {identifier(name)} as value, {identifier(label)}::integer as label
            from sample
            where {identifier(label)} is not null
        ),
        counted as (
            select sum(label) as positives, count(*) - sum(label) as negatives from labelled group by value
        )
        select coalesce(sum(least(positives, negatives)), 0), coalesce(sum(positives), 0) from counted
        """
    ).fetchall()[0]
    return bool(positives >= MIN_POSITIVES and mistakes * 20 <= positives)
