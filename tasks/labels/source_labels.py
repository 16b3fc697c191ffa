"""What the source itself says of its rows: labels, as far as they are known, and sample weights."""

from collections.abc import Sequence
from datetime import date

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.references import DateLeftOut
from tasks.source.connection import connect, list_dates, readable
from tasks.source.label_values import is_strange_label, label_value, weight_value
from tasks.source.look_back import unreadable_dates
from tasks.source.view import create_view, with_copies

SCHEMA = {
    "id": pl.String,
    "entity": pl.String,
    "partition_date": pl.Date,
    "label": pl.Boolean,
    "weight": pl.Float64,
    "is_strange": pl.Boolean,
}
KEYS = ["id", "partition_date"]


def read_labels(dataset: Dataset, first: date, last: date) -> pl.DataFrame:
    """Returns what the source's label and weight columns say of the dates `first`..`last`.

    Gives id str and entity str or null (canonical), partition_date date, label bool (null: not known), weight
    float64 (1 without a weight column, null if it is not known), is_strange bool (whether the label column
    holds something that is no label); of rows with the same id on one date the one that is scored. Empty
    without a label column. Dates that cannot be read are left out; see `read_usable_labels`.
    """
    return read_usable_labels(dataset, first, last)[0]


def read_usable_labels(
    dataset: Dataset, first: date, last: date
) -> tuple[pl.DataFrame, tuple[DateLeftOut, ...]]:
    """Returns the labels of `read_labels`, and the dates that cannot be read. Raises SourceError if the
    source cannot be listed.
    """
    days = [day for day in list_dates(dataset.source) if first <= day <= last]
    if dataset.columns.label is None or not days:
        return pl.DataFrame(schema=SCHEMA), ()
    with connect(dataset.source) as con:
        try:
            return _read(con, dataset, days), ()
        except duckdb.Error:
            left_out = unreadable_dates(con, dataset, days)
        usable = [day for day in days if day not in {each.date for each in left_out}]
        with readable(dataset.source, *days):
            return (_read(con, dataset, usable) if usable else pl.DataFrame(schema=SCHEMA)), left_out


def has_labels(dataset: Dataset, day: date) -> bool:
    """Returns whether a date has the label column. Raises SourceError if it cannot be read."""
    with connect(dataset.source) as con, readable(dataset.source, day):
        return dataset.columns.label in create_view(con, dataset, "labelled", [day]).types


def _read(con: duckdb.DuckDBPyConnection, dataset: Dataset, days: Sequence[date]) -> pl.DataFrame:
    view = create_view(con, dataset, "labelled", days)
    selected = f"""
        select
            {view.id} as id,
            {view.entity} as entity,
            {view.date} as partition_date,
            {label_value(view, dataset)} as label,
            {weight_value(view, dataset)} as weight,
            {is_strange_label(view, dataset)} as is_strange,
        """
    labels = con.sql(f"{selected} from labelled where {view.id} is not null").pl()
    if not (is_repeated := labels.select(KEYS).is_duplicated()).any():
        return labels
    repeated = labels.filter(is_repeated)
    con.register("repeated", repeated.select("id").unique().to_arrow())
    scored = con.sql(
        f"{selected} from {with_copies(view, dataset, 'repeated')} "
        f"where {view.id} is not null and {view.copy} = 0"
    ).pl()
    return pl.concat(
        [labels.filter(~is_repeated), scored.join(repeated.select(KEYS).unique(), on=KEYS, how="semi")]
    )
