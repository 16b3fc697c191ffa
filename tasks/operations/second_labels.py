"""Finds the columns of a sample that tell the known frauds from the other rows, as a second label does: such
a column is probably known only when the label is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb

from sql import identifier
from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import Dataset
from tasks.core.duckdb_types import is_number, is_text
from tasks.operations.column_looks import ColumnLook
from tasks.source.label_values import label_value
from tasks.source.view import SourceView

MAX_VALUES = 100  # with more, a majority by value says nothing
ROWS_EACH = 5  # with fewer rows of a value, neither
FEWEST = 5  # frauds: with fewer, almost any rare value tells them
PROOF, PROOF_DATES = 20, 2  # frauds, and dates with some, that are proof enough


@dataclass(frozen=True)
class Separation:
    """A column that tells known frauds from other rows: of how many frauds, on how many dates.

    possible: the column that these frauds are told by, where it is not sure that it is the label.
    """

    frauds: int
    dates: int
    possible: str | None = None

    @property
    def is_proof(self) -> bool:
        return self.frauds >= PROOF and self.dates >= PROOF_DATES

    @property
    def found(self) -> str:
        return f"of {self.frauds} frauds on {self.dates} dates"

    @property
    def why(self) -> str:
        """Why the column is no feature, where this is proof."""
        if self.possible is None:
            return f"it predicts the label almost perfectly, as a second label does: {self.found}"
        return f"it predicts {self.possible}, which may be the label, almost perfectly: {self.found}"


def find_second_labels(
    con: duckdb.DuckDBPyConnection,
    view: SourceView,
    dataset: Dataset,
    roles: ColumnSettings,
    columns: Sequence[ColumnLook],
) -> dict[str, Separation]:
    """Returns the columns of the table `sample` that tell the frauds from the other rows, by their names.

    Without a label, each rare one of two texts may be a fraud: then only what is proof of it counts.
    """
    if roles.label is not None:
        return _separations(con, view, dataset, roles, columns)
    taken = (roles.id, roles.time, roles.entity, roles.weight)
    found: dict[str, Separation] = {}
    for column in columns:
        if column.name in taken or not column.is_of(is_text) or column.rare_value is None:
            continue
        possible = roles.model_copy(update={"label": column.name, "label_positive": column.rare_value[:1]})
        separations = _separations(con, view, dataset, possible, columns)
        proven = {name: each for name, each in separations.items() if each.is_proof}
        found |= {name: replace(each, possible=column.name) for name, each in proven.items()}
    return found


def _separations(
    con: duckdb.DuckDBPyConnection,
    view: SourceView,
    dataset: Dataset,
    roles: ColumnSettings,
    columns: Sequence[ColumnLook],
) -> dict[str, Separation]:
    label = label_value(view, dataset.model_copy(update={"columns": roles}))
    con.execute(
        f"create or replace temp table labelled as select *, {label} as {view.own('label')} from sample"
    )
    con.execute(f"delete from labelled where {view.own('label')} is null")
    frauds, dates, normals = con.sql(
        f"""
        select
            count(*) filter ({view.own("label")}),
            count(distinct {view.date}) filter ({view.own("label")}),
            count(*) filter (not {view.own("label")}),
        from labelled
        """
    ).fetchall()[0]
    if min(frauds, normals) < FEWEST:
        return {}
    return {
        column.name: Separation(frauds, dates)
        for column in columns
        if column.name not in (roles.label, roles.id, roles.time)
        and _tells(con, view, column, min(frauds, normals))
    }


def _tells(con: duckdb.DuckDBPyConnection, view: SourceView, column: ColumnLook, rarer: int) -> bool:
    """rarer: the number of frauds or of normal rows, whichever are fewer."""
    label, name = view.own("label"), identifier(column.name)
    few = column.distinct <= MAX_VALUES and column.rows_each >= ROWS_EACH
    if _mistakes(con, label, name if few else f"{name} is null") * 20 <= rarer:
        return True
    if not column.is_of(is_number):
        return False
    normals_among, frauds_among, unknown = con.sql(
        f"""
        with spans as (
            select
                min({name}) filter ({label}) as least_fraud,
                max({name}) filter ({label}) as most_fraud,
                min({name}) filter (not {label}) as least_normal,
                max({name}) filter (not {label}) as most_normal,
            from labelled
        )
        select
            count(*) filter (not {label} and {name} between least_fraud and most_fraud),
            count(*) filter ({label} and {name} between least_normal and most_normal),
            count(*) filter ({label} and {name} is null),
        from labelled, spans
        """
    ).fetchall()[0]
    return not unknown and not min(normals_among, frauds_among)


def _mistakes(con: duckdb.DuckDBPyConnection, label: str, value: str) -> int:
    """Returns how many labels the more frequent label of each value gets wrong."""
    (mistakes,) = con.sql(
        f"""
        with counted as (
            select count(*) filter ({label}) as frauds, count(*) filter (not {label}) as normals
            from labelled group by {value}
        )
        select coalesce(sum(least(frauds, normals)), 0) from counted
        """
    ).fetchall()[0]
    return int(mistakes)
