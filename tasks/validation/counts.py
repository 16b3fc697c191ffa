"""Which rules rows of a day could break: counted by DuckDB in one read, so that Great Expectations judges
these rows alone, and not millions that break nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import duckdb

from sql import identifier
from tasks.core.canonical import as_number, canonical_text
from tasks.core.dataset import Dataset
from tasks.core.duckdb_types import is_number_or_boolean
from tasks.source.row_json import source_images
from tasks.source.row_rules import Rule, violations
from tasks.source.view import SourceView
from tasks.validation.rules import CANONICAL, EXACT, FITS, Rules


@dataclass(frozen=True)
class Counts:
    """rows: of the day. suspects: an SQL condition for each rule that some row could break, true for these
    rows. missing: of each checked column, how many rows have no value. counted: the rules that were counted.
    """

    rows: int
    suspects: dict[Rule, str]
    missing: dict[str, int]
    counted: frozenset[Rule]


def count_suspects(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, view: SourceView, rules: Rules, day: date
) -> Counts:
    """Counts the rows of the view `day` by the rules that SQL can express: all but those on images."""
    keys = {key_of(rule): str(rule.column) for rule in rules}  # type: ignore[attr-defined]
    found = {key: sql for key, sql in violations(dataset, view).items() if key in keys}
    names = list(dict.fromkeys(keys[key] for key in found))
    numbers = [checked_value(name, dataset, view) for name in names]
    missing = [
        f"{value} is null" + (f" or isnan({value})" if _is_number(name, dataset, view) else "")
        for name, value in zip(names, numbers, strict=True)
    ]
    conditions = ", ".join(f"count(*) filter ({each})" for each in ("true", *found.values(), *missing))
    used = parameters(names, dataset, day)
    rows, *counts = con.execute(f"select {conditions} from day", used).fetchall()[0]
    broken, absent = counts[: len(found)], counts[len(found) :]
    return Counts(
        rows,
        {key: sql for (key, sql), count in zip(found.items(), broken, strict=True) if count},
        dict(zip(names, absent, strict=True)),
        frozenset(found),
    )


def key_of(rule: object) -> Rule:
    """Returns the name of a rule and the column of the source that it is about."""
    meta = rule.meta  # type: ignore[attr-defined]
    return meta["rule"], meta.get("column") or rule.column  # type: ignore[attr-defined]


def parameters(names: Collection[str], dataset: Dataset, day: date) -> dict[str, date] | None:
    """Returns the parameters of a query for these checked columns; see `checked_value`."""
    return {"day": day} if dataset.columns.time in names else None


def checked_value(name: str, dataset: Dataset, view: SourceView) -> str:
    """Returns an SQL expression for the value that the rules of a checked column look at: a time as days
    after the partition's date, the parameter $day, a number as double, an image unchanged, anything else as
    canonical text; whether an id is exact as 1 or 0.
    """
    if name.startswith(EXACT):
        return f"cast({view.exact(name.removeprefix(EXACT))} as double)"
    if name.startswith(FITS):
        return f"cast({view.unfit(name.removeprefix(FITS))} is null as double)"
    source_name = name.removeprefix(CANONICAL)
    column, kind = identifier(source_name), view.types[source_name]
    if name.startswith(CANONICAL):
        return canonical_text(column, kind)
    if name == dataset.columns.time:
        days = f"cast(date_diff('day', $day, cast({column} as date)) as double)"
        return (
            f"case when isfinite(cast({column} as timestamp)) then {days} when {column} is not null "
            "then 'inf'::double end"
        )
    if name in source_images(dataset, view):
        return column
    if all(map(is_number_or_boolean, view.found[name])):
        return as_number(column, kind)
    return canonical_text(column, kind)


def _is_number(name: str, dataset: Dataset, view: SourceView) -> bool:
    return (
        name != dataset.columns.time
        and name in view.found
        and name not in source_images(dataset, view)
        and all(map(is_number_or_boolean, view.found[name]))
    )
