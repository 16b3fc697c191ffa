"""Labels that others report: a file of an analyst's verdicts or of chargebacks, added to what is known."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from tasks.core.errors import LabelsRefused
from tasks.core.masking import MASK
from tasks.labels.label_lines import LABELS, LabelLines, read_label_lines
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute, row, rows

SHOWN = 5  # of the ids that match nothing
A_DATE = "write a date that has passed, such as 2024-03-11"
VALID = {
    "id": "write an id",
    "label": "write 0, 1, true or false",
    "known_at": A_DATE,
    "source": "write who says so; `source` is the source's own column, `answer` is for `nightscore answer`",
    "partition_date": A_DATE,
}


@dataclass(frozen=True)
class Recorded:
    """What became of the lines of a label file.

    added: new in the table `labels`. known: they add nothing to it. unknown: they name no scored row, and
    were left out. unknown_ids: the first of those, as they are written.
    """

    added: int
    known: int
    unknown: int
    unknown_ids: tuple[str, ...] = ()


def record_labels(warehouse: Warehouse, path: Path, *, is_private: bool = False) -> Recorded:
    """Appends a Parquet or CSV file of labels to the table `labels`: all of its lines, or none where one
    cannot be meant.

    Columns: id; label (0, 1, true or false); known_at (a date: known from its end); source (who says so, such
    as chargeback; `source` is the source's own column, `answer` what `nightscore answer` records); where ids
    repeat from day to day, partition_date; and, where it is known, kind, the kind of fraud. An id counts as
    it is written; where no row has that id, a whole number that is written like 7.0 counts as 7.
    is_private: whether ids are masked in messages.
    Raises LabelsRefused, naming the file, the line and the value; also where no line matches a scored row.
    """
    lines = read_label_lines(path, LABELS)
    return warehouse.transact(lambda con: _record(con, path, lines, is_private))


def _record(con: duckdb.DuckDBPyConnection, path: Path, lines: LabelLines, is_private: bool) -> Recorded:
    execute(con, "publish/lock_dataset")
    con.register("lines", lines.frame.to_arrow())
    execute(con, "labels/parse_label_file", today=date.today())
    if invalid := row(con, "labels/find_invalid_values"):
        column, written = invalid["column"], invalid["written"]
        shown = MASK if is_private and column == "id" else repr(written)
        raise LabelsRefused(
            f"{path}: {invalid['lines']:,} values of {column} are not valid, the first in {lines.word} "
            f"{invalid['first_line']}: {shown}; {VALID[column]}; nothing was recorded"
        )
    execute(con, "labels/match_scored_rows")
    _require_sense(con, path, lines.word, is_private)
    unmatched = rows(con, "labels/list_unmatched_ids")
    counts = row(con, "labels/count_new_labels")
    assert counts is not None
    execute(con, "labels/insert_reported_labels")
    unknown = () if is_private else tuple(repr(each["id"]) for each in unmatched[:SHOWN])
    if lines.frame.height and len(unmatched) == lines.frame.height:
        such_as = f", such as {unknown[0]}" if unknown else ""
        raise LabelsRefused(
            f"{path}: no id of its {len(unmatched):,} {lines.word}s is that of a scored row{such_as}; "
            'write the ids as `nightscore sql "select id from scores"` does'
        )
    return Recorded(**counts, unknown_ids=unknown)


def _require_sense(con: duckdb.DuckDBPyConnection, path: Path, word: str, is_private: bool) -> None:
    """Raises LabelsRefused where two lines contradict each other, or one is known before its transaction."""
    if found := row(con, "labels/find_contradiction"):
        shown = MASK if is_private else repr(found["id"])
        raise LabelsRefused(
            f"{path}: {word}s {found['first_line']} and {found['line']} give {shown} different "
            f"{found['what']} by the same source on the same date; leave the right one; nothing was recorded"
        )
    if found := row(con, "labels/find_early_label"):
        raise LabelsRefused(
            f"{path}: the label in {word} {found['line']} is known at {found['known_at']}, before its "
            f"transaction of {found['scored_date']}; fix known_at; nothing was recorded"
        )
