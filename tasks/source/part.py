"""Rows that are read together, since they have the same columns."""

from dataclasses import dataclass, field
from datetime import date

from duckdb.sqltypes import DuckDBPyType


def date_literal(day: date | None) -> str:
    """Returns an SQL expression for a date; null where there is none."""
    return f"date '{day}'" if day else "cast(null as date)"


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
