"""What the source itself says of its rows: labels, as far as they are known, and sample weights."""

from datetime import date

import duckdb
import polars as pl

from sql import identifier
from tasks.core.dataset import Dataset
from tasks.core.errors import SourceError
from tasks.source.connection import connect, create_view, list_dates, readable

SCHEMA = {
    "id": pl.String,
    "entity": pl.String,
    "partition_date": pl.Date,
    "label": pl.Boolean,
    "weight": pl.Float64,
}


def read_labels(dataset: Dataset, first: date, last: date) -> pl.DataFrame:
    """What the source's label and weight columns say of the dates `first`..`last`, as far as they are there.

    Gives id str, entity str or null, partition_date date, label bool (null: not known yet), weight float64 (1
    where there is none); of rows with the same id on one date the first. Without a label column it is empty.
    Raises SourceError where a label is neither 0, 1, true, false nor null, or there is no such column.
    """
    columns, found = dataset.columns, [day for day in list_dates(dataset.source) if first <= day <= last]
    if columns.label is None or not found:
        return pl.DataFrame(schema=SCHEMA)
    with connect(dataset.source) as con, readable(dataset.source, found[-1], found[0]):
        types = create_view(con, dataset, "labelled", found[0], found[-1])
        for name in filter(None, (columns.label, columns.weight)):
            if name not in types:
                raise SourceError(f"{first}..{last}: the source has no column {name}; mend [columns]")
        con.execute(f"create view labels as {_select_labels(dataset)}")
        _refuse_strange_labels(con, dataset)
        labels = con.sql(
            "select id, entity, partition_date, label, weight from labels where id is not null"
        ).pl()
    return labels.unique(subset=["id", "partition_date"], keep="first", maintain_order=True)


def _select_labels(dataset: Dataset) -> str:
    label = identifier(dataset.columns.label or "")
    text = f"lower(cast({label} as varchar))"
    weight = (
        f"coalesce(cast({identifier(dataset.columns.weight)} as double), 1)"
        if dataset.columns.weight
        else "cast(1 as double)"
    )
    entity = identifier(dataset.columns.entity) if dataset.columns.entity else "null"
    return f"""
        with texts as (
            select *, nullif({text}, 'nan') as _text, from labelled
        ),
        numbers as (
            select
                *,
                case _text
                    when 'true' then 1 when 'false' then 0 else try_cast(_text as double)
                end as _number,
            from texts
        )
        select
            cast({identifier(dataset.columns.id)} as varchar) as id,
            cast({entity} as varchar) as entity,
            _partition_date as partition_date,
            case _number when 1 then true when 0 then false end as label,
            {weight} as weight,
            _text is not null and coalesce(_number not in (0, 1), true) as strange,
            _text as written,
        from numbers
        """


def _refuse_strange_labels(con: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    strange = con.sql(
        "select partition_date, count(*), min(written) from labels where strange group by all order by "
        "1 limit 1"
    ).fetchone()
    if strange:
        name, shown = (
            dataset.columns.label,
            "" if dataset.columns.label in dataset.columns.private else f", such as {strange[2]!r}",
        )
        raise SourceError(
            f"{strange[0]}: column {name} has {strange[1]:,} values that are no label{shown}; write 0, "
            "1 or null"
        )
