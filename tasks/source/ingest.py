"""Reads one day of the source: its row count and its fingerprint."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb

from tasks.core.dataset import Dataset
from tasks.core.dates import date_range
from tasks.core.errors import NightError, PartitionMissing, SourceError
from tasks.core.filesystem import filesystem_of
from tasks.core.references import DateLeftOut, Partition
from tasks.core.step import step
from tasks.source.connection import connect, first_history_date, list_files, place, readable
from tasks.source.look_back import (
    Content,
    check_dates,
    clash,
    read_contents,
    type_families,
    unreadable_dates,
)
from tasks.source.undated import undated_rows
from tasks.source.view import SourceView, create_view, hashed_columns

log = logging.getLogger(__name__)
LOOK_BACK = "look-back"  # the folder below warehouse.files that keeps which dates pass the gate


@step
def ingest(dataset: Dataset, day: date, files: Path) -> Partition:
    """Returns the reference to one day, with one warning for the dates that its look-back leaves out, and one
    for rows of no date; see `read_partition`.
    """
    partition = read_partition(dataset, day, files)
    with readable(dataset.source, day):
        lost = undated_rows(dataset.source)
    for note in filter(None, (look_back_note(partition), lost)):
        log.warning("%s  ingest     %s", day, note)
    return partition


def look_back_note(partition: Partition) -> str | None:
    """Returns which dates the look-back leaves out, in a sentence; None if there are none."""
    if not partition.left_out:
        return None
    dates = ", ".join(map(str, partition.left_out))
    return f"the look-back leaves out {dates}"


def read_partition(dataset: Dataset, day: date, files: Path | None = None) -> Partition:
    """Returns the reference to one day: its row count, the dates of its look-back that features may use, and
    the fingerprint of both.

    files: the folder of the warehouse's files, which keeps what is known of the look-back's dates; without
        it, they are counted anew.
    Raises PartitionMissing if there is no partition, SourceError if it is empty or cannot be read. An empty
    day of a table is a missing partition. A date of the look-back refuses no night: it is left out.
    """
    listing = list_content(dataset, day)
    with connect(dataset.source) as con:
        with readable(dataset.source, day):
            view, found = read_contents(con, dataset, [day])
        if day not in found:
            error = SourceError if dataset.source.date_column is None else PartitionMissing
            raise error(
                f"{day}: the partition is empty ({place(dataset.source, day)}); deliver its rows and "
                "run the night again"
            )
        before = list(date_range(first_history_date(dataset, day), day - timedelta(days=1)))
        if before:
            cache = files / LOOK_BACK if files else None
            look_back = _read_look_back(con, dataset, before, day, type_families(view), cache)
        else:
            look_back = LookBack(view, found)
        columns, left_out = list(hashed_columns(look_back.view, dataset)), look_back.left_out
        may_differ = left_out or look_back.view.is_mixed or look_back.view.is_query
        may_differ = may_differ and not (dataset.source.path and (dataset.source.date_column or view.checked))
        may_differ = may_differ and dataset.source.times == "local"
        earlier = _earlier_fingerprint(con, dataset, [*before, day]) if may_differ else None
    fingerprint = _fingerprint(columns, look_back.contents, left_out)
    return Partition(
        date=day,
        rows=found[day].rows,
        fingerprint=fingerprint,
        earlier_fingerprints=(earlier,) if earlier and earlier != fingerprint else (),
        look_back=tuple(sorted(each for each in look_back.contents if each != day)),
        repeating=look_back.repeating,
        left_out=left_out,
        listing=None if look_back.view.is_query else listing,
    )


@dataclass(frozen=True)
class LookBack:
    """A day and the dates before it that features may use.

    repeating: the dates with an id that occurs more than once. left_out: the dates that may not be used.
    """

    view: SourceView
    contents: dict[date, Content]
    repeating: tuple[date, ...] = ()
    left_out: tuple[DateLeftOut, ...] = ()


def _read_look_back(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    before: Sequence[date],
    day: date,
    night: dict[str, tuple[str, ...]],
    cache: Path | None,
) -> LookBack:
    """Reads a day and the dates before it, without those that cannot be read or would fail the gate.

    night: the families of types of the day's columns.
    """
    unreadable: tuple[DateLeftOut, ...] = ()
    try:
        view, contents = read_contents(con, dataset, [*before, day])
    except duckdb.Error:
        present = [each for each in before if _has_partition(dataset, each)]
        unreadable = unreadable_dates(con, dataset, present)
        view, contents = _contents_without(con, dataset, unreadable, before, day)
    earlier_days = {each: content for each, content in contents.items() if each != day}
    checks = check_dates(con, dataset, earlier_days, cache)
    reasons = {each: check.reason or clash(dataset, check, night) for each, check in checks.items()}
    failing = [DateLeftOut(each, reason) for each, reason in reasons.items() if reason]
    left_out = tuple(sorted((*unreadable, *failing), key=lambda each: each.date))
    if failing:
        view, contents = _contents_without(con, dataset, left_out, before, day)
    repeating = tuple(sorted(each for each in checks if checks[each].repeats and each in contents))
    return LookBack(view, contents, repeating, left_out)


def _contents_without(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    left_out: Sequence[DateLeftOut],
    before: Sequence[date],
    day: date,
) -> tuple[SourceView, dict[date, Content]]:
    excluded = {each.date for each in left_out}
    with readable(dataset.source, *before, day):
        return read_contents(con, dataset, [each for each in (*before, day) if each not in excluded])


def _has_partition(dataset: Dataset, day: date) -> bool:
    return dataset.source.date_column is not None or bool(list_files(dataset.source, [day]))


def require_same_source(dataset: Dataset, partition: Partition, files: Path) -> None:
    """Raises SourceError if the source is no longer what it was when the partition was read: if the names,
    sizes or times of its files differ, the fingerprint is taken again. So it is of a view, which may read
    other files than those of its database.
    """
    if partition.listing is not None and list_content(dataset, partition.date) == partition.listing:
        return
    if read_partition(dataset, partition.date, files).fingerprint != partition.fingerprint:
        raise SourceError(
            f"{partition.date}: the source changed while the night was scored "
            f"({place(dataset.source, partition.date)}); nothing was committed, run the night again"
        )


def list_content(dataset: Dataset, day: date) -> str:
    """Returns a hash of the names, sizes and times (on S3 the ETags) of the files of a day and its look-back;
    of a table, of its database file.

    Raises SourceError if the files cannot be listed.
    """
    source = dataset.source
    if source.database is not None:
        found = [source.database] if Path(source.database).is_file() else []
    else:
        found = list_files(source, date_range(first_history_date(dataset, day), day))
    filesystem = filesystem_of(source.path or source.database or "")
    described = []
    for file in found:
        info = filesystem.info(file)
        described.append(
            [file, info["size"], str(info.get("ETag") or info.get("mtime") or info.get("LastModified"))]
        )
    return _digest(*described)


def _fingerprint(columns: list[str], contents: dict[date, Content], left_out: tuple[DateLeftOut, ...]) -> str:
    """Returns a hash of all rows that does not depend on their order, or on the label and weight columns: a
    label that arrives is no reason to score the day again. The dates that were left out are part of it.
    """
    rows, hashed = (sum(getattr(each, name) for each in contents.values()) for name in ("rows", "hashed"))
    excluded = [[str(each.date) for each in left_out]] if left_out else []
    return _digest(columns, rows, hashed, *excluded)


def _earlier_fingerprint(con: duckdb.DuckDBPyConnection, dataset: Dataset, days: list[date]) -> str | None:
    """Returns the fingerprint as versions before format 3 took it: of all dates, their files united by
    DuckDB; None if they cannot be united.
    """
    try:
        view = replace(create_view(con, dataset, "contents", days, united=True), is_query=False)
        columns = hashed_columns(view, dataset)
        rows, hashed = con.execute(
            f"select count(*), sum(hash({', '.join(columns.values())})) from contents"
        ).fetchall()[0]
    except (duckdb.Error, NightError):
        return None
    return _digest(list(columns), rows, int(hashed))


def _digest(*stated: object) -> str:
    return hashlib.sha256(repr(stated).encode()).hexdigest()[:16]
