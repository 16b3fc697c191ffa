"""What was known when: labels are stored as they mature, and an entity's known fraud is no news."""

from datetime import date, timedelta

import duckdb
import polars as pl

import sql
from tasks.core.dataset import Dataset
from tasks.core.errors import WarehouseMissing
from tasks.labels.source_labels import read_labels
from tasks.warehouse.connection import reading, transact
from tasks.warehouse.settings import WarehouseSettings


def store_labels(
    dataset: Dataset, warehouse: WarehouseSettings, first: date, last: date, delay_days: int, as_of: date
) -> None:
    """Appends what is new to the table `labels`; the label of date x is known from the end of x +
    `delay_days`.
    """
    mature = min(last, as_of - timedelta(days=delay_days))
    if mature < first:
        return
    known_at = pl.col("partition_date").dt.offset_by(f"{delay_days}d").alias("known_at")
    found = read_labels(dataset, first, mature).with_columns(known_at)

    def insert(con: duckdb.DuckDBPyConnection) -> None:
        con.register("found", found.to_arrow())
        con.execute(sql.read("labels/insert_source_labels"), {"as_of": as_of})

    transact(warehouse, dataset.name, insert)


def known_labels(
    dataset: Dataset, warehouse: WarehouseSettings, first: date, last: date, as_of: date
) -> pl.DataFrame:
    """The labels of the dates `first`..`last`, in the columns of `read_labels`: what the source's own column
    says, but where others (an analyst, a chargeback) have said so since and it was known at the end of
    `as_of`.
    """
    own = read_labels(dataset, first, last)
    try:
        with reading(warehouse, dataset.name) as con:
            values = {"first_date": first, "last_date": last, "as_of": as_of}
            reported = con.execute(sql.read("labels/list_reported_labels"), values).pl()
    except WarehouseMissing:
        return own
    keys = ["id", "partition_date"]
    said = own.join(reported.select(*keys, reported="label"), on=keys, how="left", maintain_order="left")
    only_reported = reported.join(own, on=keys, how="anti", maintain_order="left")
    return pl.concat(
        [
            said.with_columns(label=pl.coalesce("reported", "label")).select(own.columns),
            only_reported.select(own.columns),
        ]
    )


def known_compromised(
    dataset: Dataset, warehouse: WarehouseSettings, rows: pl.DataFrame, training_first: date, delay_days: int
) -> pl.Series:
    """Whether the entity of each row (`entity`, `partition_date`) was known to be compromised on its date;
    bool (rows,).

    It was, if it has a fraud dated between the first day of the training window in use and date - delay - 1
    (after the public protocol of the Fraud Detection Handbook, Le Borgne et al., 2022).
    """
    last: date = rows["partition_date"].max()  # type: ignore[assignment]
    earliest: date = rows["partition_date"].min()  # type: ignore[assignment]
    newest = last - timedelta(days=delay_days + 1)
    frauds = known_labels(
        dataset, warehouse, training_first, newest, as_of=earliest - timedelta(days=1)
    ).filter("label")
    first_fraud = frauds.group_by("entity").agg(pl.col("partition_date").min().alias("first_fraud"))
    known = pl.col("first_fraud") <= pl.col("partition_date").dt.offset_by(f"-{delay_days + 1}d")
    joined = rows.select("entity", "partition_date").join(
        first_fraud, on="entity", how="left", maintain_order="left"
    )
    return joined.select(known.fill_null(False).alias("known")).to_series()
