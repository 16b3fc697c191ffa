"""The views that feature SQL reads: the clean rows of the day, and the history without bad values and without
labels that were not known on the night.
"""

from datetime import date, timedelta

import duckdb
from duckdb.sqltypes import DuckDBPyType

from sql import identifier
from tasks.core.dataset import ColumnRule, Dataset
from tasks.core.duckdb_types import is_float
from tasks.core.references import Validated
from tasks.core.sql_expressions import null_if_nan
from tasks.source.connection import create_view, first_history_date, numbered


def create_clean(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, validated: Validated
) -> dict[str, DuckDBPyType]:
    """Creates the view `clean`: the rows of the day that are not quarantined, with `_row`, `_id`, `_entity`
    and `_event_time`.

    Returns the source's columns and their types.
    """
    day, columns = validated.partition.date, dataset.columns
    types = create_view(con, dataset, "day", day, day)
    con.read_parquet(str(validated.quarantine)).create_view("quarantined")
    entity = identifier(columns.entity) if columns.entity else "null"
    time = identifier(columns.time) if columns.time else "null"
    con.execute(
        f"""
        create view clean as
        select
            *,
            cast({identifier(columns.id)} as varchar) as _id,
            cast({entity} as varchar) as _entity,
            try_cast({time} as timestamp) as _event_time,
        from {numbered("day")}
        anti join quarantined on quarantined.row = _row
        """
    )
    return types


def create_history(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, day: date, label_delay_days: int
) -> None:
    """Creates the view `history`: the good rows of the look-back and the clean rows of the day, with null in
    place of NaN and of labels that were not known on the night.
    """
    types = create_view(con, dataset, "found", first_history_date(dataset, day), day)
    con.execute(f"create view lookback as from found where _partition_date < date '{day}'")
    values = {name: null_if_nan(identifier(name), kind) for name, kind in types.items()}
    shown = {name: value for name, value in values.items() if is_float(types[name])}
    if (label := dataset.columns.label) in types:
        known = f"_partition_date <= date '{day - timedelta(days=label_delay_days)}'"
        shown = shown | {label: f"case when {known} then {values[label]} end"}
    replaced = ", ".join(f"{value} as {identifier(name)}" for name, value in shown.items())
    con.execute(
        f"""
        create view history as
        select * {f"replace ({replaced})" if replaced else ""} from (
            select * from lookback where {" and ".join(_value_rules(con, dataset, types))}
            union all by name
            select * exclude (_row, _id, _entity, _event_time) from clean
        )
        """
    )


def _value_rules(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, types: dict[str, DuckDBPyType]
) -> list[str]:
    """Returns the conditions for rows of the look-back, which keep one bad value from spoiling means and
    counts for weeks.

    If a column is null on a whole date, it was added later; its nulls do not exclude the date.
    """
    configured = {
        name: rule
        for name, rule in dataset.quality.columns.items()
        if name in types and name != dataset.columns.label
    }
    default = {name: ColumnRule() for name in dataset.features.numeric if name in types}
    conditions = ["true"]
    for name, rule in (default | configured).items():
        value = null_if_nan(identifier(name), types[name])
        number = f"try_cast({value} as double)"
        if not rule.nullable:
            having = con.sql(
                f"select _partition_date from lookback group by all having count({value}) > 0"
            ).fetchall()
            dates = ", ".join(f"date '{row[0]}'" for row in having)
            conditions += [f"({value} is not null or _partition_date not in ({dates}))"] if dates else []
        if is_float(types[name]):
            conditions.append(f"coalesce(isfinite({value}), true)")
        if rule.min is not None:
            conditions.append(f"coalesce({number} >= cast('{rule.min}' as double), true)")
        if rule.max is not None:
            conditions.append(f"coalesce({number} <= cast('{rule.max}' as double), true)")
    return conditions
