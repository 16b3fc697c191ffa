"""The views that features are read from: the clean rows of the day, and the history that feature SQL reads,
without bad rows and without labels that were not known on the night.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import duckdb
from duckdb.sqltypes import BIGINT, DOUBLE, HUGEINT, DuckDBPyType

from sql import identifier, literal
from tasks.core.dataset import Dataset
from tasks.core.duckdb_types import is_integer, is_number, is_number_or_boolean, is_time
from tasks.core.errors import SourceError
from tasks.core.filesystem import exact_pattern
from tasks.core.references import Partition, Validated
from tasks.core.sql_expressions import null_if_nan
from tasks.source.row_rules import DATE_COLUMN, reserved_columns, violations
from tasks.source.view import SourceView, Types, create_view, with_copies


def create_clean(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, validated: Validated, types: Types | None = None
) -> SourceView:
    """Creates the view `clean`: the rows of the day that were not refused; returns its description.

    types: see `create_view`.
    """
    day = create_view(con, dataset, "day", [validated.partition.date], types)
    refused = f"read_parquet({literal(exact_pattern(str(validated.refused)))})"
    con.execute(f"create or replace temp view refused as from {refused}")
    alone = f"select * from day where {day.id} is not null"
    repeats = con.sql("select count(*), count(*) filter (is_repeated) from refused").fetchall()[0]
    if repeats[0]:
        alone += f" and {day.id} not in (select id from refused where id is not null)"
    if repeats[1]:
        con.execute(
            "create or replace temp view repeated as select distinct id from refused where is_repeated"
        )
        alone += f"""
            union all by name
            select * exclude ({day.copy})
            from {with_copies(day, dataset, "repeated")} as copies
            anti join refused on refused.id = copies.{day.id} and refused.copy = copies.{day.copy}
            where copies.{day.id} is not null
            """
    con.execute(f"create or replace temp view clean as {alone}")
    return SourceView("clean", day.types, day.found, day.mark, checked=day.checked)


def create_history(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, validated: Validated, label_delay_days: int
) -> SourceView:
    """Creates the view `history`, the good rows of the look-back and the clean rows of the day, with null in
    place of NaN and of labels that were not known on the night; and the view `clean`, whose description it
    returns.

    Ids and entities that are numbers are integers, whatever their types in the files.
    Raises SourceError if the source has a column by the name of `_partition_date`.
    """
    partition = validated.partition
    night = create_view(con, dataset, "day", [partition.date])
    before = create_view(con, dataset, "before", partition.look_back) if partition.look_back else None
    if taken := reserved_columns(dataset, night):
        raise SourceError(
            f"{partition.date}: the source has a column {taken[0]}, by which feature SQL finds the date of a "
            "row; rename the column"
        )
    types = dict(_history_types(dataset, night, before))
    clean = create_clean(con, dataset, validated, types)
    parts = [_shown(dataset, clean, partition.date, label_delay_days)]
    if before is not None:
        parts.append(
            _shown(
                dataset, _create_look_back(con, dataset, partition, types), partition.date, label_delay_days
            )
        )
    con.execute(f"create or replace temp view history as {' union all by name '.join(parts)}")
    return clean


def _create_look_back(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, partition: Partition, types: Types
) -> SourceView:
    """Creates the view `lookback`: the rows of the look-back that break no rule."""
    found = create_view(con, dataset, "before", partition.look_back, types)
    rows = "from before"
    if partition.repeating:
        dates = ", ".join(f"date '{day}'" for day in partition.repeating)
        repeating = f"{found.date} in ({dates})"
        con.execute(
            f"""
            create or replace temp table repeated_before as
            select distinct {found.id} as id
            from before
            where {repeating} and {found.id} is not null
            group by {found.date}, {found.id}
            having count(*) > 1
            """
        )
        rows = f"""
            from (
                from before where not ({repeating} and {found.id} in (select id from repeated_before))
                union all by name
                select * exclude ({found.copy})
                from {with_copies(found, dataset, "repeated_before")}
                where {repeating} and {found.copy} = 0
            )
            """
    bad = violations(dataset, found, finite=dataset.features.numeric).values()
    good = " and ".join(["true", *(f"not ({condition})" for condition in bad)])
    con.execute(f"create or replace temp view lookback as {rows} where {good}")
    return SourceView("lookback", found.types, found.found, found.mark, checked=found.checked)


def _shown(dataset: Dataset, view: SourceView, day: date, label_delay_days: int) -> str:
    """Returns a query for the source's columns as feature SQL sees them, and the date of each row."""
    values = {name: null_if_nan(identifier(name), kind) for name, kind in view.types.items()}
    known = f"{view.date} <= date '{day - timedelta(days=label_delay_days)}'"
    for name in (dataset.columns.label, dataset.columns.label_kind):
        if name in values:
            values[name] = f"case when {known} then {values[name]} end"
    columns = [f"{value} as {identifier(name)}" for name, value in values.items()]
    return f"select {', '.join([*columns, f'{view.date} as {DATE_COLUMN}'])} from {view.name}"


def _history_types(
    dataset: Dataset, night: SourceView, before: SourceView | None
) -> Iterator[tuple[str, DuckDBPyType]]:
    """Yields the type of each column of the night in `history`: a date of the look-back whose files have
    other types shall not change the values of the night, and cannot refuse it.
    """
    for name, kind in night.types.items():
        earlier = before.found.get(name, ()) if before else ()
        if before and name in before.types and not (earlier and night.found[name]):
            yield name, kind if night.found[name] else before.types[name]  # one of the two has no value
            continue
        kinds = {str(each): each for each in (*night.found[name], *earlier)}
        if name in (dataset.columns.id, dataset.columns.entity) and all(map(is_number, night.found[name])):
            if not all(map(is_integer, night.found[name])):
                yield name, _integer_of(night.found[name])
            elif not all(map(is_integer, kinds.values())):
                yield name, kind
        elif len(kinds) == 1 or all(map(is_integer, kinds.values())) or all(map(is_time, kinds.values())):
            continue  # DuckDB unites them without loss
        elif all(map(is_number_or_boolean, night.found[name])):
            yield name, DOUBLE
        else:
            yield name, kind


def _integer_of(kinds: Sequence[DuckDBPyType]) -> DuckDBPyType:
    return (
        HUGEINT if any(kind.id in ("decimal", "hugeint", "uhugeint", "ubigint") for kind in kinds) else BIGINT
    )
