"""A first look at a source: where its dates are, what its columns hold, and which part each of them probably
plays.

Everything that `look_at` decides is a guess with what was seen beside it; `render_toml` writes it down as a
configuration to mend.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from os.path import commonprefix
from pathlib import Path

import duckdb
from jinja2 import Environment, StrictUndefined

from sql import identifier
from tasks.core.dataset import ColumnSettings, Dataset, FeatureSettings, SourceSettings
from tasks.core.errors import SourceError, first_line
from tasks.core.filesystem import filesystem_of
from tasks.operations.column_roles import (
    BYTES,
    MOMENT,
    MOST_CATEGORIES,
    NUMBER,
    ColumnLook,
    guess_features,
    guess_roles,
)
from tasks.source.connection import connect, create_view, list_dates, readable

SAMPLED_DATES, SAMPLED_ROWS = 7, 200_000
FEWEST_POSITIVES = 5  # with fewer, any rare column seems to be determined by the label


@dataclass(frozen=True)
class SourceLook:
    """What was found in a source, and what is guessed from it.

    columns: every column, as found in the newest rows.
    roles, features: the guesses; left_out: column and why it is neither.
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
    """Looks at a folder or pattern of Parquet files, or at a table of a DuckDB file.

    Raises SourceError where there are no dates, no rows, nothing that names a row, or nothing to learn from.
    """
    if path is not None and database is None:
        source = _parquet_source(path)
    elif database is not None and path is None:
        source = _table_source(database, table)
    else:
        raise SourceError("name one source: a folder of Parquet files, or a DuckDB file and its table")
    dates = list_dates(source)
    if not dates:
        raise SourceError(
            f"{source.path or source.table} has no rows of any date; name a source that has some"
        )
    # Of the configuration that is being looked for, the reader needs the source alone.
    unknown = Dataset(
        name="init", source=source, columns=ColumnSettings(id="_"), features=FeatureSettings(numeric=("_",))
    )
    with connect(source) as con, readable(source, dates[-1]):
        types = create_view(con, unknown, "recent", dates[-SAMPLED_DATES:][0], dates[-1])
        _create_sample(con, types)
        columns = tuple(_look_at_column(con, name, kind) for name, kind in types.items())
        roles = guess_roles(columns)
        second_labels = _find_second_labels(con, columns, roles.label) if roles.label else frozenset()
    features, left_out = guess_features(columns, roles, second_labels)
    return SourceLook(source, tuple(dates), columns, roles, features, left_out)


def render_toml(look: SourceLook, name: str) -> str:
    """A commented configuration that loads as it is, each guess with what was seen."""
    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (no HTML)
    )
    environment.filters["toml"] = lambda value: json.dumps(
        value, ensure_ascii=False
    )  # a basic TOML string or array is JSON
    template = environment.from_string(
        (Path(__file__).parent / "templates" / "nightscore.toml.j2").read_text(encoding="utf-8")
    )
    missing = (look.dates[-1] - look.dates[0]).days + 1 - len(look.dates)
    return template.render(look=look, name=name, missing=missing, roles=("time", "entity", "label", "weight"))


def _parquet_source(path: str) -> SourceSettings:
    """The pattern of a folder's files, with {date} in the place of their dates."""
    if "{date}" in path:
        return SourceSettings(path=path)
    pattern = re.search(r"[*?[]", path)
    folder = (
        path[: pattern.start() if pattern else None].rpartition("/")[0]
        if pattern or path.endswith(".parquet")
        else path.rstrip("/")
    )
    places = filesystem_of(path)
    try:
        files = sorted(
            file
            for file in (places.glob(path) if pattern else places.find(path))
            if file.endswith(".parquet")
        )
    except Exception as error:
        raise SourceError(
            f"{path} cannot be listed: {first_line(error)}; mend the path or the access to it"
        ) from error
    if not files:
        raise SourceError(f"there are no .parquet files in {path}")
    root = places._strip_protocol(folder).rstrip("/")
    found = Counter(_dated(file.removeprefix(root).lstrip("/")) for file in files)
    if undated := found.pop(None, 0):
        raise SourceError(
            f"{undated} of {len(files)} files in {path} have no YYYY-MM-DD in their path below it, "
            f"such as {files[0]}"
        )
    begins = commonprefix([after for _, after in filter(None, found)])  # noqa: RUF071 (characters are meant)
    dated = {
        (before, begins + "*.parquet" if "/" not in after and len(found) > 1 else after)
        for before, after in filter(None, found)
    }
    if len(dated) > 1:
        several = ", ".join(sorted(before + "{date}" + after for before, after in dated)[:3])
        raise SourceError(
            f"{path} holds several kinds of files ({several}); give the path of one kind, with "
            "{date} for the date"
        )
    ((before, after),) = dated
    return SourceSettings(
        path=(folder + "/" if folder or path.startswith("/") else "") + before + "{date}" + after
    )


def _dated(file: str) -> tuple[str, str] | None:
    """What is before and after the date in a file's path; below a dated folder any file counts."""
    before, *rest = re.split(r"\d{4}-\d{2}-\d{2}", file, maxsplit=1)
    if not rest:
        return None
    folder, *below = rest[0].split("/")
    return before, "/".join([folder, *["*"] * (len(below) - 1), *["*.parquet"] * bool(below)])


def _table_source(database: str, table: str | None) -> SourceSettings:
    with connect(SourceSettings(database=database, table="_", date_column="_")) as con:
        listed = (
            "select table_schema, table_name from information_schema.tables where table_catalog = "
            "'source' order by all"
        )
        tables = con.sql(listed).fetchall()
        names = {
            (name if schema == "main" else f"{schema}.{name}"): (schema, name) for schema, name in tables
        }
        chosen = (
            table.removeprefix("main.")
            if table is not None
            else next(iter(names))
            if len(names) == 1
            else None
        )
        if chosen not in names:
            raise SourceError(
                f"{database} has {'no table ' + table if table else 'no single table'}; name one of: "
                f"{', '.join(names)}"
            )
        found = con.sql(f"from source.{'.'.join(map(identifier, names[chosen]))}")
        columns = dict(zip(found.columns, map(str, found.types), strict=True))
    moments = [name for name, kind in columns.items() if MOMENT.fullmatch(kind)]
    days = [name for name, kind in columns.items() if kind == "DATE"]
    if not days + moments:
        raise SourceError(
            f"table {chosen} of {database} has no date or timestamp column; its rows cannot be told "
            "apart by day"
        )
    return SourceSettings(database=database, table=chosen, date_column=(days + moments)[0])


def _create_sample(con: duckdb.DuckDBPyConnection, types: dict[str, str]) -> None:
    """The table `sample`: rows of the newest dates, as many dates as are needed for SAMPLED_ROWS; of bytes
    their number alone.
    """
    counted = [
        f"octet_length({identifier(name)}) as {identifier(name)}"
        for name, kind in types.items()
        if BYTES.fullmatch(kind)
    ]
    columns = f"* replace ({', '.join(counted)})" if counted else "*"
    con.execute(
        f"""
        create temp table sample as
        with days as (
            select
                _partition_date,
                sum(count(*)) over (order by _partition_date desc) - count(*) as newer_rows
            from recent group by _partition_date
        )
        select {columns}
        from recent
        where _partition_date in (select _partition_date from days where newer_rows < $rows)
        limit $rows
        """,
        {"rows": SAMPLED_ROWS},
    )


def _look_at_column(con: duckdb.DuckDBPyConnection, name: str, kind: str) -> ColumnLook:
    column = identifier(name)
    present = f"{column} is not null" + (f" and not isnan({column})" if kind in {"FLOAT", "DOUBLE"} else "")
    span = f"min({column})::double, max({column})::double" if NUMBER.fullmatch(kind) else "null, null"
    rows, found, distinct, smallest, largest = con.sql(
        f"select (select count(*) from sample), count(*), count(distinct {column}), {span} from sample "
        f"where {present}"
    ).fetchall()[0]
    return ColumnLook(name, kind, rows, rows - found, distinct, smallest, largest)


def _find_second_labels(
    con: duckdb.DuckDBPyConnection, columns: tuple[ColumnLook, ...], label: str
) -> frozenset[str]:
    """Columns of few values that tell the label nearly without error: they are known only when the label
    is.
    """
    return frozenset(
        column.name
        for column in columns
        if column.name != label and column.distinct <= MOST_CATEGORIES and _tells(con, column.name, label)
    )


def _tells(con: duckdb.DuckDBPyConnection, name: str, label: str) -> bool:
    """Whether calling each value of the column by its majority misses at most one positive in twenty."""
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
    return bool(positives >= FEWEST_POSITIVES and mistakes * 20 <= positives)
