"""What analysts answer: kept on record with who said so and why, and a label from that day on."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.errors import LabelsRefused
from tasks.core.masking import MASK
from tasks.labels.label_lines import ANSWERS, LabelLines, read_label_lines
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import Row, execute, row, rows

SHOWN = 5  # of the conflicts
NOTHING = "nothing was recorded"
IDS = 'look it up with `nightscore sql "select id, partition_date from scores"`'
VALID = {
    "id": "write an id",
    "answer": "write fraud or normal",
    "date": "write the date of the row, such as 2024-03-11",
}


@dataclass(frozen=True)
class Answered:
    """What became of answers, in scored rows.

    fraud, normal: recorded with that answer. known: the same person has said the same before, last of all.
    conflicts: how many of these rows have a label by somebody else that says otherwise. conflict_lines: the
    first of those, in words; none where ids are private.
    """

    fraud: int
    normal: int
    known: int
    conflicts: int
    conflict_lines: tuple[str, ...] = ()


def one_answer(row_id: str, answer: str, day: date | None, note: str | None) -> LabelLines:
    """Returns the answer to one row as lines. day: the date of the row; None where only one has the id."""
    line = {"line": 1, "id": row_id, "answer": answer, "date": day and day.isoformat(), "note": note}
    return LabelLines(
        pl.DataFrame([line], schema={"line": pl.Int64} | dict.fromkeys(ANSWERS.columns, pl.String)), ""
    )


def answers_of_file(path: Path) -> LabelLines:
    """Returns the lines of a Parquet or CSV file: id, answer, and where there is one, date and note.

    Raises LabelsRefused, naming the file and the line, where it cannot be read as such.
    """
    return read_label_lines(path, ANSWERS)


def record_answers(
    dataset: Dataset, warehouse: Warehouse, lines: LabelLines, by: str, path: Path | None = None
) -> Answered:
    """Appends answers to the tables `answers` and `labels`: all of them, or none where one cannot be meant.

    A label by an answer has the source `answer` and is known from the end of today. by: who answers. path: of
    the file that they are from. Raises LabelsRefused, naming the line and the value.
    """
    return warehouse.transact(lambda con: _record(con, dataset, lines, by, path))


def _record(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, lines: LabelLines, by: str, path: Path | None
) -> Answered:
    today, is_private = date.today(), dataset.columns.id in dataset.columns.private
    execute(con, "publish/lock_dataset")
    execute(con, "publish/insert_alert_rule", **dataset.alerts.model_dump())
    con.register("lines", lines.frame.to_arrow())
    execute(con, "labels/parse_answers", today=today)
    _require_sense(con, _Place(path, lines.word, is_private), today)
    execute(con, "labels/select_new_answers", answered_by=by)
    counts = row(con, "labels/count_answers")
    assert counts is not None
    execute(con, "labels/insert_answers", answered_by=by, today=today)
    execute(con, "labels/insert_answered_labels", today=today)
    found = rows(con, "labels/list_answered_conflicts")
    named = () if is_private else tuple(map(_conflict, found[:SHOWN]))
    return Answered(
        **counts,
        conflicts=len({(each["id"], each["partition_date"]) for each in found}),
        conflict_lines=named,
    )


@dataclass(frozen=True)
class _Place:
    """Where answers come from, for a message."""

    path: Path | None
    word: str
    is_private: bool

    def at(self, line: int) -> str:
        return f"{self.path}: {self.word} {line}: " if self.path else ""

    def shown(self, value: str | None) -> str:
        return MASK if self.is_private else repr(value)


def _require_sense(con: duckdb.DuckDBPyConnection, place: _Place, today: date) -> None:
    """Raises LabelsRefused unless every line is valid and means one scored row, and no two contradict each
    other.
    """
    if found := row(con, "labels/find_invalid_answers"):
        column, written = found["column"], found["written"]
        shown = place.shown(written) if column == "id" else repr(written)
        more = f" ({found['lines']:,} such values)" if found["lines"] > 1 else ""
        raise LabelsRefused(
            f"{place.at(found['first_line'])}{column} {shown} is not valid{more}; {VALID[column]}; {NOTHING}"
        )
    execute(con, "labels/match_answers")
    if found := row(con, "labels/find_unclear_answer"):
        raise LabelsRefused(
            f"{place.at(found['line'])}{_unclear(place.shown(found['id']), found)}; {NOTHING}"
        )
    if found := row(con, "labels/find_contradicting_answer"):
        raise LabelsRefused(
            f"{place.path}: {place.word}s {found['first_line']} and {found['line']} give "
            f"{place.shown(found['id'])} different answers; leave the right one; {NOTHING}"
        )
    if found := row(con, "labels/find_early_answer", today=today):
        raise LabelsRefused(
            f"{place.at(found['line'])}the row is of {found['partition_date']}, after today; answer it on "
            f"that date or later; {NOTHING}"
        )


def _unclear(shown: str, found: Row) -> str:
    """Why the id of a line means no scored row, or several."""
    if found["rows"]:
        return f"id {shown} was scored on {found['rows']} dates, such as {found['dates']}; name its date"
    if found["dates"]:
        return (
            f"id {shown} was not scored on {found['partition_date']}, but on {found['dates']}; name that date"
        )
    if found["is_quarantined"]:
        return f"id {shown} was never scored, for it was quarantined; answer scored rows"
    return f"no scored row has the id {shown}; {IDS}"


def _conflict(found: dict[str, Any]) -> str:
    says = {True: "fraud", False: "normal"}
    return (
        f"{found['id']} of {found['partition_date']} is {says[found['label']]} by {found['source']}, "
        f"{says[found['other_label']]} by {found['other_source']}"
    )
