"""What was known when: labels are stored as they mature; an entity with a known fraud is known
compromised.
"""

import logging
from datetime import date, timedelta

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.errors import WarehouseMissing
from tasks.labels.source_labels import read_labels, read_usable_labels
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute

log = logging.getLogger(__name__)


def store_labels(dataset: Dataset, warehouse: Warehouse, first: date, last: date, as_of: date) -> None:
    """Appends the source's new labels of first..last to the table `labels`.

    The label of date x is known from the end of x + `label_delay_days`; only those known at the end of
    `as_of` are stored.
    """
    delay = dataset.label_delay_days
    mature = min(last, as_of - timedelta(days=delay))
    if mature < first:
        return
    known_at = pl.col("partition_date").dt.offset_by(f"{delay}d").alias("known_at")
    labels, left_out = read_usable_labels(dataset, first, mature)
    for each in left_out:
        log.warning("%s  labels     left out: %s", each.date, each.reason)
    found = labels.with_columns(known_at)

    def insert(con: duckdb.DuckDBPyConnection) -> None:
        con.register("found", found.to_arrow())
        execute(con, "labels/insert_source_labels", as_of=as_of)

    warehouse.transact(insert)


def known_labels(
    dataset: Dataset, warehouse: Warehouse, first: date, last: date, as_of: date
) -> pl.DataFrame:
    """Returns the labels of the dates first..last, in the columns of `read_labels`.

    The source's own label counts, unless somebody else (an analyst, a chargeback) has reported another one
    since, which was known at the end of `as_of`.
    """
    own = read_labels(dataset, first, last)
    dates = {"first_date": first, "last_date": last}
    try:
        reported = warehouse.frame("labels/list_reported_labels", **dates, as_of=as_of)
    except WarehouseMissing:
        return own
    keys = ["id", "partition_date"]
    both = own.join(reported.select(*keys, reported="label"), on=keys, how="left", maintain_order="left")
    corrected = both.with_columns(
        label=pl.coalesce("reported", "label"), is_strange=pl.col("is_strange") & pl.col("reported").is_null()
    ).select(own.columns)
    only_reported = reported.join(own, on=keys, how="anti", maintain_order="left")
    only_reported = only_reported.with_columns(is_strange=pl.lit(False)).select(own.columns)
    return pl.concat([corrected, only_reported])


def known_compromised(
    dataset: Dataset, warehouse: Warehouse, rows: pl.DataFrame, training_first: date
) -> pl.Series:
    """Whether the entity of each row (`entity`, `partition_date`) was known to be compromised on its date;
    bool (rows,).

    It was, if it has a fraud dated between the first day of the training window in use and date -
    label_delay_days - 1 (after the public protocol of the Fraud Detection Handbook, Le Borgne et al., 2022).
    """
    delay = dataset.label_delay_days
    last: date = rows["partition_date"].max()  # type: ignore[assignment]
    earliest: date = rows["partition_date"].min()  # type: ignore[assignment]
    newest = last - timedelta(days=delay + 1)
    labels = known_labels(dataset, warehouse, training_first, newest, as_of=earliest - timedelta(days=1))
    first_fraud = labels.filter("label").group_by("entity").agg(first_fraud=pl.col("partition_date").min())
    known = pl.col("first_fraud") <= pl.col("partition_date").dt.offset_by(f"-{delay + 1}d")
    joined = rows.select("entity", "partition_date").join(
        first_fraud, on="entity", how="left", maintain_order="left"
    )
    return joined.select(known.fill_null(False).alias("known")).to_series()
