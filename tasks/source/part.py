"""Rows that are read together, since they have the same columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from duckdb.sqltypes import TIMESTAMP_TZ, DuckDBPyType

from sql import identifier
from tasks.core.duckdb_types import has_time_zone, is_timestamp


def date_literal(day: date | None) -> str:
    """Returns an SQL expression for a date; null where there is none."""
    return f"date '{day}'" if day else "cast(null as date)"


def as_utc(part: "Part", names: Sequence[str]) -> "Part":
    """Returns a part whose columns of these names, timestamps without a zone, are UTC."""
    if not names:
        return part
    quoted = [identifier(name) for name in names]
    values = ", ".join(f"timezone('UTC', cast({each} as timestamp)) as {each}" for each in quoted)
    types = part.types | dict.fromkeys(names, TIMESTAMP_TZ)
    return replace(part, relation=f"(select * replace ({values}) from {part.relation})", types=types)


def in_zone(part: "Part", times: str) -> "Part":
    """Returns a part whose timestamps without a zone are what `source.times` says."""
    if times == "local":
        return part
    naive = [name for name, kind in part.types.items() if is_timestamp(kind) and not has_time_zone(kind)]
    return as_utc(part, naive)


@dataclass(frozen=True)
class Part:
    """Rows with the same columns.

    relation: what they are read from. types: of a column that is null in all rows it is SQLNULL, where the
    file says so. date: an SQL expression for their date. where: the condition for the dates. files: where
    they are from. is_view: whether that is a view of DuckDB. unfit: of the columns of CSV files that have a
    type, the quoted column of the relation with the text of each value that does not fit it, null elsewhere.
    """

    relation: str
    types: dict[str, DuckDBPyType]
    date: str = "null"
    where: str = "true"
    files: tuple[str, ...] = ()
    is_view: bool = False
    unfit: dict[str, str] = field(default_factory=dict)
