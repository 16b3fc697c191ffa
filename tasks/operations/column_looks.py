"""What `nightscore init` measures of each column of a source, in a sample of several of its dates."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import duckdb
from duckdb.sqltypes import DuckDBPyType

from sql import identifier, literal
from tasks.core.canonical import canonical_text
from tasks.core.duckdb_types import (
    has_time_zone,
    is_bytes,
    is_float,
    is_integer,
    is_number,
    is_text,
    is_time,
    is_timestamp,
)
from tasks.source.view import SourceView

MOST_CELLS, MOST_ROWS = 20_000_000, 200_000  # of the sample
FEW_VALUES, SHOWN = 30, 12  # different values that are counted each, and that are shown in a message
RARE = 0.2  # the share of the rows up to which one of two values is rare
ROW_NUMBERS = 20  # rows of a date, from which on integers without a gap are numbers of rows
HASH = "[0-9A-Za-z+/=_-]{16,}"


@dataclass(frozen=True)
class ColumnLook:
    """One column in the sampled rows.

    nulls: number of nulls, NaN included. distinct: number of distinct values. smallest, largest: of a column
    of numbers; otherwise None. values: where they are few, each as canonical text with its number of rows.
    moves: whether the values of each date lie above (or all below) those of the date before; of texts,
    whether none occurs on two dates. whole: whether all numbers are whole.
    repeats: number of rows whose value an earlier row of their date has. counts_rows: whether the integers
    of each date are different and without gaps. on_day: of timestamps, the share that lies on the date of
    their partition.
    spaced, timelike, numberlike: of texts, the share with blanks, and that reads as a time or as a number.
    hashlike: whether all texts are long codes of one length.
    """

    name: str
    type: DuckDBPyType
    rows: int
    nulls: int
    distinct: int
    smallest: float | None
    largest: float | None
    values: tuple[tuple[str, int], ...] = ()
    moves: bool = False
    whole: bool = False
    repeats: int = 0
    counts_rows: bool = False
    on_day: float = 0.0
    spaced: float = 0.0
    timelike: float = 0.0
    numberlike: float = 0.0
    hashlike: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its name in lower case, the same for `terminal_id` and `terminalId`."""
        return words_of(self.name)

    @property
    def may_be_key(self) -> bool:
        """Whether it can be an id or an entity: text, or whole numbers, also as floats, which hold nulls."""
        return self.is_of(is_integer, is_text) or (self.is_of(is_number) and self.whole)

    @property
    def present(self) -> int:
        return self.rows - self.nulls

    @property
    def unique(self) -> bool:
        return self.distinct == self.rows

    @property
    def unique_by_day(self) -> bool:
        """Whether no value occurs twice on a date."""
        return not self.repeats

    @property
    def rows_each(self) -> float:
        """The mean number of rows that share a value."""
        return self.present / max(self.distinct, 1)

    @property
    def rare_value(self) -> tuple[str, float] | None:
        """The less frequent one of two values and its share, if it is rare."""
        if self.distinct != 2 or not self.values:
            return None
        value, rows = self.values[-1]
        share = rows / self.present
        return (value, share) if share <= RARE else None

    @property
    def summary(self) -> str:
        nulls = f", {self.nulls / self.rows:.4g} of it null" if self.nulls else ""
        return f"{self.type}, {self.distinct:,} distinct in {self.rows:,} rows{nulls}"

    @property
    def counted_values(self) -> str:
        """The values with their numbers of rows, for a message."""
        shown = [f"{value} in {rows:,} rows" for value, rows in self.values[:SHOWN]]
        return ", ".join([*shown, *["..."] * (len(self.values) > SHOWN)])

    def is_of(self, *predicates: Callable[[DuckDBPyType], bool]) -> bool:
        return any(predicate(self.type) for predicate in predicates)


def words_of(name: str) -> tuple[str, ...]:
    """Returns the words of a column's name in lower case."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return tuple(re.findall(r"[^\W\d_]+", parted)) or (name,)


def create_sample(con: duckdb.DuckDBPyConnection, view: SourceView, days: Sequence[date]) -> None:
    """Creates the table `sample`: the first rows of each date of a view, as many of each, with the number of
    bytes in place of bytes.
    """
    rows = max(1, min(MOST_ROWS, MOST_CELLS // max(1, len(view.types))) // len(days))
    columns = ", ".join(
        f"octet_length({identifier(name)}) as {identifier(name)}" if is_bytes(kind) else identifier(name)
        for name, kind in view.types.items()
    )
    parts = [
        f"(select {columns}, {view.date} from {identifier(view.name)} "
        f"where {view.date} = date '{day}' limit {rows})"
        for day in days
    ]
    con.execute(f"create or replace temp table sample as {' union all '.join(parts)}")


def look_at_columns(
    con: duckdb.DuckDBPyConnection, view: SourceView, timezone: str
) -> tuple[ColumnLook, ...]:
    """Measures every column of the table `sample`, which `create_sample` made of the view."""
    return tuple(_look_at_column(con, view, name, kind, timezone) for name, kind in view.types.items())


def _look_at_column(
    con: duckdb.DuckDBPyConnection, view: SourceView, name: str, kind: DuckDBPyType, timezone: str
) -> ColumnLook:
    column, is_listed = identifier(name), not is_bytes(kind)
    present = f"{column} is not null" + (f" and not isnan({column})" if is_float(kind) else "")
    span = f"min({column})::double, max({column})::double" if is_number(kind) else "null, null"
    rows, found, distinct, smallest, largest = con.sql(
        f"select (select count(*) from sample), count(*), count(distinct {column}), {span} from sample "
        f"where {present}"
    ).fetchall()[0]
    measured = ColumnLook(name, kind, rows, rows - found, distinct, smallest, largest)
    if not found:
        return measured
    more = _by_day(con, view, column, kind, present) | _of_times(con, view, column, kind, timezone)
    if is_text(kind):
        more |= _of_texts(con, column)
    if is_number(kind):
        more["whole"] = con.sql(
            f"select bool_and({column} = trunc({column})) from sample where {present}"
        ).fetchall()[0][0]
    if is_listed and distinct <= FEW_VALUES:
        text = canonical_text(column, kind)
        listed = con.sql(
            f"select {text} as value, count(*) from sample where {present} group by value "
            "order by count(*) desc, value"
        ).fetchall()
        if all(value.isprintable() for value, _ in listed):
            more["values"] = tuple(listed)
    return ColumnLook(**(vars(measured) | more))


def _by_day(
    con: duckdb.DuckDBPyConnection, view: SourceView, column: str, kind: DuckDBPyType, present: str
) -> dict[str, object]:
    number = f"{column}::double" if is_number(kind) else f"epoch({column})" if is_time(kind) else "null"
    found = con.sql(
        f"""
        select count(*), count(distinct {column}), min({number}), max({number}),
            quantile_cont({number}, 0.05), quantile_cont({number}, 0.95)
        from sample where {present} group by {view.date} order by {view.date}
        """
    ).fetchall()
    measured: dict[str, object] = {"repeats": sum(rows - distinct for rows, distinct, *_ in found)}
    if is_text(kind):
        (distinct,) = con.sql(f"select count(distinct {column}) from sample").fetchall()[0]
        return measured | {"moves": len(found) > 1 and sum(day[1] for day in found) == distinct}
    if not (is_number(kind) or is_time(kind)):
        return measured
    pairs = list(pairwise(found))
    up, down = (
        bool(pairs) and all(before < after for before, after in spans)
        for spans in (
            [(day[5], later[4]) for day, later in pairs],
            [(later[5], day[4]) for day, later in pairs],
        )
    )
    measured["moves"] = (up or down) and len({value for day in found for value in day[2:4]}) > 2
    measured["counts_rows"] = is_integer(kind) and all(
        rows == distinct and rows >= ROW_NUMBERS and largest - smallest + 1 <= 1.1 * rows
        for rows, distinct, smallest, largest, *_ in found
    )
    return measured


def _of_times(
    con: duckdb.DuckDBPyConnection, view: SourceView, column: str, kind: DuckDBPyType, timezone: str
) -> dict[str, object]:
    if not is_timestamp(kind):
        return {}
    local = f"timezone({literal(timezone)}, {column})" if has_time_zone(kind) else column
    (share,) = con.sql(
        f"select avg((cast({local} as date) = {view.date})::int) from sample where {column} is not null"
    ).fetchall()[0]
    return {"on_day": share or 0.0}


def _of_texts(con: duckdb.DuckDBPyConnection, column: str) -> dict[str, object]:
    text = f"cast({column} as varchar)"
    spaced, timelike, numberlike, hashlike = con.sql(
        f"""
        select
            avg(contains({text}, ' ')::int),
            avg((try_cast({text} as timestamp) is not null)::int),
            avg((try_cast({text} as double) is not null)::int),
            min(length({text})) = max(length({text})) and bool_and(regexp_full_match({text}, {literal(HASH)}))
        from sample where {column} is not null
        """
    ).fetchall()[0]
    return {"spaced": spaced, "timelike": timelike, "numberlike": numberlike, "hashlike": hashlike}
