"""What must hold of results, as SQL: the statements `sql/checks/*.sql` return the rows that offend."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

import sql
from tasks.core.masking import MASK
from tasks.warehouse.statements import Row, row, rows

SHOWN = 3
IN_PARTS = "checks/unique_ids"  # by the hashes of the ids
ROWS_AT_ONCE = 1 << 21  # whose ids are in memory: 200 MB


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
        found = _repeated_ids(con, run_id) if name == IN_PARTS else rows(con, name, run_id=run_id)
        if found:
            yield _violation(name, found, masked)


def warnings(con: duckdb.DuckDBPyConnection, low: float, run_id: str) -> Iterator[str]:
    """What is worth a look in a run and stops nothing, as sentences.

    low: the share of flagged rows below which a night is noted.
    """
    if found := row(con, "warnings/flagged_share", run_id=run_id, low=low):
        yield (
            f"{found['rows_flagged']:,} of {found['rows_scored']:,} rows are flagged, "
            f"{found['flagged_share']:.3f} of them, below evaluation.flagged_share {low:g}"
        )
    if found := row(con, "warnings/few_flags", run_id=run_id):
        yield (
            f"the last {found['nights']} nights, since {found['since']}, flagged {found['flagged']:,} rows "
            "in all: check the threshold and the features"
        )


def _repeated_ids(con: duckdb.DuckDBPyConnection, run_id: str | None) -> list[Row]:
    """The ids that occur more than once in a run, in one of the current runs where none is named: all runs at
    once where they are small, else run by run, and a large one by parts of its ids.
    """
    counts = rows(con, "publish/count_scored_rows", run_id=run_id)
    if sum(each["rows"] for each in counts) <= ROWS_AT_ONCE:
        return rows(con, IN_PARTS, run_id=run_id, part=0, parts=1)
    found: list[Row] = []
    for each in counts:
        parts = -(-each["rows"] // ROWS_AT_ONCE)
        for part in range(parts):
            found += rows(con, IN_PARTS, run_id=each["run_id"], part=part, parts=parts)
    return found


def _violation(name: str, found: list[Row], masked: Collection[str]) -> Violation:
    shown = [{key: MASK if key in masked else value for key, value in each.items()} for each in found[:SHOWN]]
    return Violation(name, len(found), tuple(shown))
