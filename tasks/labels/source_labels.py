"""What the source itself says of its rows: labels, as far as they are known, and sample weights."""

from collections.abc import Sequence
from datetime import date

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.references import DateLeftOut
from tasks.source.connection import connect, list_dates, readable
from tasks.source.label_values import is_strange_label, kind_value, label_value, weight_value
from tasks.source.look_back import unreadable_dates
from tasks.source.view import SourceView, create_view, with_copies

SCHEMA = {
    "id": pl.String,
    "entity": pl.String,
    "partition_date": pl.Date,
    "label": pl.Boolean,
    "weight": pl.Float64,
    "kind": pl.String,
    "is_strange": pl.Boolean,
}
KEYS = ["id", "partition_date"]


def read_labels(dataset: Dataset, first: date, last: date) -> pl.DataFrame:
    """Returns what the source's label and weight columns say of the dates `first`..`last`.

    Gives id str and entity str or null (canonical), partition_date date, label bool (null: not known), weight
    float64 (1 without a weight column, null if it is not known), kind str or null, is_strange bool (whether
    the label column holds something that is no label); of rows with the same id on one date the one that is
    scored. Empty without a label column. Dates that cannot be read are left out; see `read_usable_labels`.
    """
    return read_usable_labels(dataset, first, last)[0]


def read_usable_labels(
    dataset: Dataset, first: date, last: date, *, frauds_alone: bool = False
) -> tuple[pl.DataFrame, tuple[DateLeftOut, ...]]:
    """Returns the labels of `read_labels`, and the dates that cannot be read.

    frauds_alone: whether only the rows with a fraud label are returned. Raises SourceError if the source
    cannot be listed.
    """
    days = [day for day in list_dates(dataset.source) if first <= day <= last]
    if dataset.columns.label is None or not days:
        return pl.DataFrame(schema=SCHEMA), ()
    with connect(dataset.source) as con:
        try:
            return _read(con, dataset, days, frauds_alone), ()
        except duckdb.Error:
            left_out = unreadable_dates(con, dataset, days)
        usable = [day for day in days if day not in {each.date for each in left_out}]
        with readable(dataset.source, *days):
            found = _read(con, dataset, usable, frauds_alone) if usable else pl.DataFrame(schema=SCHEMA)
            return found, left_out


def read_frauds(dataset: Dataset, first: date, last: date) -> pl.DataFrame:
    """Returns the rows of `first`..`last` that the source labels as frauds, with the columns id, entity and
    partition_date of `read_labels`. Dates that cannot be read are left out.
    """
    return read_usable_labels(dataset, first, last, frauds_alone=True)[0].select(
        "id", "entity", "partition_date"
    )


def has_labels(dataset: Dataset, day: date) -> bool:
    """Returns whether all rows of a date have the label column. Raises SourceError if it cannot be read."""
    label = dataset.columns.label
    with connect(dataset.source) as con, readable(dataset.source, day):
        view = create_view(con, dataset, "labelled", [day])
        return label in view.types and label not in view.lacking


def _read(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, days: Sequence[date], frauds_alone: bool
) -> pl.DataFrame:
    view = create_view(con, dataset, "labelled", days)
    label = label_value(view, dataset)
    selected = f"""
        select
            {view.id} as id,
            {view.entity} as entity,
            {view.date} as partition_date,
            {label} as label,
            {weight_value(view, dataset)} as weight,
            {kind_value(view, dataset)} as kind,
            {is_strange_label(view, dataset)} as is_strange,
        """
    wanted = f"{view.id} is not null" + (f" and {label}" if frauds_alone else "")
    labels = con.sql(f"{selected} from labelled where {wanted}").pl()
    repeated = _repeated_ids(con, view, labels, frauds_alone)
    if repeated.is_empty():
        return labels
    con.register("repeated", repeated.select("id").unique().to_arrow())
    scored = con.sql(
        f"{selected} from {with_copies(view, dataset, 'repeated')} where {wanted} and {view.copy} = 0"
    ).pl()
    return pl.concat([labels.join(repeated, on=KEYS, how="anti"), scored.join(repeated, on=KEYS, how="semi")])


def _repeated_ids(
    con: duckdb.DuckDBPyConnection, view: SourceView, labels: pl.DataFrame, frauds_alone: bool
) -> pl.DataFrame:
    """The ids of the labels that several rows of a date have: id, partition_date."""
    keys = labels.select(KEYS)
    if not frauds_alone:
        return keys.filter(keys.is_duplicated()).unique()
    con.register("frauds", keys.unique().to_arrow())
    return con.sql(
        f"select {view.id} as id, {view.date} as partition_date from labelled "
        f"where ({view.id}, {view.date}) in (from frauds) group by all having count(*) > 1"
    ).pl()
