"""What must hold of results, as SQL: the statements `sql/checks/*.sql` return the rows that offend."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

import sql
from tasks.core.masking import MASK

SHOWN = 3


@dataclass(frozen=True)
class Violation:
    """A check that did not pass. rows: how many offend; shown: the first of them, by column."""

    check: str
    rows: int
    shown: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        lines = [" ".join(f"{name}={value}" for name, value in row.items()) for row in self.shown]
        more = "" if self.rows == len(lines) else f" and {self.rows - len(lines):,} more"
        return f"{self.check} found {self.rows:,}: {'; '.join(lines)}{more}"


def violations(
    con: duckdb.DuckDBPyConnection, run_id: str | None = None, masked: Collection[str] = ()
) -> Iterator[Violation]:
    """The checks that do not pass, of one run or of every current one.

    masked: columns whose values are masked.
    """
    for name in sql.names("checks/*"):
        yield from _look(con, name, {"run_id": run_id}, masked)


def warnings(
    con: duckdb.DuckDBPyConnection, band: tuple[float, float], run_id: str | None = None
) -> Iterator[Violation]:
    """What is worth a look and stops nothing.

    band: the shares of rows between which a night is expected to flag.
    """
    yield from _look(con, "warnings/flagged_share", {"run_id": run_id, "low": band[0], "high": band[1]})


def _look(
    con: duckdb.DuckDBPyConnection, name: str, values: dict[str, Any], masked: Collection[str] = ()
) -> Iterator[Violation]:
    found = con.execute(sql.read(name), values)
    columns = [column[0] for column in found.description or []]
    if rows := found.fetchall():
        shown = [dict(zip(columns, row, strict=True)) for row in rows[:SHOWN]]
        yield Violation(
            name,
            len(rows),
            tuple({key: MASK if key in masked else value for key, value in row.items()} for row in shown),
        )
