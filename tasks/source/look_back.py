"""Which dates of the look-back features may use: those that would pass the gate.

That follows from the source and the configuration alone, never from the ledger or the order of nights. Each
date is counted in DuckDB once per content; the result is kept in a file that may be deleted.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from re import fullmatch
from typing import Any

import duckdb
from pydantic import TypeAdapter, ValidationError

from tasks.core import duckdb_types
from tasks.core.atomic_files import write_atomically
from tasks.core.dataset import Dataset
from tasks.core.duckdb_types import family, is_image
from tasks.core.errors import NightError, first_line
from tasks.core.references import DateLeftOut
from tasks.source.connection import unreadable_reason
from tasks.source.row_rules import missing_columns, reserved_columns, typed_columns, violations
from tasks.source.view import SourceView, create_view, hashed_columns, with_copies

RULES = 2  # raised whenever the counting below changes
DECISIVE: dict[str, Any] = {  # the keys of the configuration that it depends on
    "quality": True,
    "columns": True,
    "source": {"timezone", "times", "types", "csv"},
    "features": {"image"},
}
KINDS = {"time_type": duckdb_types.DATE_OR_TIMESTAMP, "number_type": duckdb_types.NUMBER_OR_BOOLEAN}


@dataclass(frozen=True)
class Content:
    """The rows of one date, in any order. hashed: the sum of their hashes."""

    rows: int
    hashed: int


@dataclass(frozen=True)
class GateCheck:
    """Whether a date would pass the gate.

    reason: why it would not; None if it would. bad: number of rows that break a rule, 0 where none is looked
    at. repeats: whether an id occurs more than once. families: of the types of each column.
    """

    reason: str | None
    bad: int
    repeats: bool
    families: dict[str, tuple[str, ...]]


_KEPT = TypeAdapter(tuple[str, GateCheck])


def read_contents(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, days: Sequence[date]
) -> tuple[SourceView, dict[date, Content]]:
    """Returns a view of these dates, and the content of each that has rows, without label and weight.

    Raises duckdb.Error if a date cannot be read.
    """
    view = create_view(con, dataset, "contents", days)
    hashed = ", ".join(hashed_columns(view, dataset).values())
    found = con.execute(
        f"select {view.date}, count(*), sum(hash({hashed})) from contents group by {view.date}"
    ).fetchall()
    return view, {day: Content(rows, int(total)) for day, rows, total in found}


def unreadable_dates(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, days: Sequence[date]
) -> tuple[DateLeftOut, ...]:
    """Returns those of these dates that cannot be read completely."""
    found = []
    for day in days:
        try:
            read_contents(con, dataset, [day])
        except duckdb.Error as error:
            found.append(DateLeftOut(day, unreadable_reason(dataset.source, [day], error)))
        except NightError as error:
            found.append(DateLeftOut(day, first_line(error)))
    return tuple(found)


def check_dates(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, contents: dict[date, Content], cache: Path | None
) -> dict[date, GateCheck]:
    """Returns for each of these dates whether it would pass the gate.

    cache: the folder that keeps one file per date, if any.
    """
    decisive = dataset.model_dump(mode="json", include=DECISIVE)
    return {
        day: check_date(con, dataset, day, content.rows)
        if cache is None
        else _kept_check(con, dataset, day, content, cache, decisive)
        for day, content in contents.items()
    }


def _kept_check(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    day: date,
    content: Content,
    cache: Path,
    decisive: dict[str, Any],
) -> GateCheck:
    key = [RULES, decisive, content.rows, str(content.hashed)]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    path = cache / f"{day}.json"
    try:
        of, check = _KEPT.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        of = None
    if of == digest:
        return check
    check = check_date(con, dataset, day, content.rows)
    cache.mkdir(parents=True, exist_ok=True)
    write_atomically(path, _KEPT.dump_json((digest, check)).decode())
    return check


def check_date(con: duckdb.DuckDBPyConnection, dataset: Dataset, day: date, rows: int) -> GateCheck:
    """Returns whether a date of the source would pass the gate."""
    view, bad, repeats = create_view(con, dataset, "checked", [day]), 0, False
    reason = _schema_reason(dataset, view)
    if reason is None and rows < dataset.quality.min_rows:
        reason = f"{rows:,} rows, but quality.min_rows is {dataset.quality.min_rows:,}"
    if reason is None:
        bad, repeats = _count_bad_rows(con, dataset, view)
        reason = _bad_rows_reason(dataset, rows, bad)
    return GateCheck(reason, bad, repeats, type_families(view))


def type_families(view: SourceView) -> dict[str, tuple[str, ...]]:
    """Returns the families of the types that each column has in the files."""
    return {name: tuple(sorted({family(kind) for kind in kinds})) for name, kinds in view.found.items()}


def clash(dataset: Dataset, check: GateCheck, night: dict[str, tuple[str, ...]]) -> str | None:
    """Returns why features cannot be built from a date and the night together: a column has types whose
    values cannot become those of the night. None if they can.

    Text can hold every value, an id of another form is another id, and a label or weight may be unknown.
    """
    columns = dataset.columns
    lenient = (columns.id, columns.entity, *columns.late)
    for name, families in check.families.items():
        expected = night.get(name) or families
        if name not in lenient and "text" not in expected and not set(families) <= set(expected):
            held, wanted = " and ".join(families), " and ".join(expected)
            return f"column {name} holds {held}, on the night {wanted}"
    return None


def _schema_reason(dataset: Dataset, view: SourceView) -> str | None:
    if taken := reserved_columns(dataset, view):
        return f"a column is named {taken[0]}"
    if missing := missing_columns(dataset, view):
        return f"missing columns: {', '.join(missing)}"
    for rule, names in typed_columns(dataset, view).items():
        for name in names:
            for kind in view.found[name]:
                fits = is_image(kind) if rule == "image_type" else fullmatch(KINDS[rule], str(kind))
                if not fits:
                    return f"column {name} is {kind}"
    return None


def _count_bad_rows(con: duckdb.DuckDBPyConnection, dataset: Dataset, view: SourceView) -> tuple[int, bool]:
    """Returns the number of rows that break a rule, and whether an id occurs more than once."""
    is_bad = " or ".join(violations(dataset, view).values())
    con.execute(
        f"""
        create or replace temp table repeated as
        select {view.id} as id from checked where {view.id} is not null group by all having count(*) > 1
        """
    )
    queries = [
        f"select count(*) filter ({is_bad}) from checked "
        f"where {view.id} is null or {view.id} not in (select id from repeated)"
    ]
    if repeats := bool(con.sql("from repeated limit 1").fetchone()):
        queries.append(
            f"select count(*) filter ({is_bad} or {view.copy} > 0) "
            f"from {with_copies(view, dataset, 'repeated')} where {view.id} is not null"
        )
    return sum(int(con.execute(query).fetchall()[0][0]) for query in queries), repeats


def _bad_rows_reason(dataset: Dataset, rows: int, bad: int) -> str | None:
    quality, share = dataset.quality, bad / max(rows, 1)
    found = f"{bad:,} of {rows:,} rows are bad, a share of {share:.4g}"
    if bad and bad == rows:
        return f"{found}, and none is left"
    if bad and quality.on_bad_rows == "reject":
        return f"{found}, and quality.on_bad_rows is reject"
    if share > quality.max_bad_share:
        return f"{found}, and quality.max_bad_share is {quality.max_bad_share:g}"
    return None
