"""Which entities were known to be compromised on the date of a night: stored once, with the night."""

from datetime import date, timedelta
from typing import Any

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.labels.reported_labels import read_reported
from tasks.labels.source_labels import KEYS, read_frauds
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute


def store_compromised(dataset: Dataset, warehouse: Warehouse, first: date, last: date) -> None:
    """Stores the known compromised entities of the current runs of `first`..`last`, where they are not stored
    yet.

    On date d an entity is known to be compromised if it has a fraud dated between the first day of the
    training window of the version that scored d and d - label_delay_days - 1, by the labels known at the end
    of d - 1 (after the public protocol of the Fraud Detection Handbook, Le Borgne et al., 2022).
    """
    runs = warehouse.rows("labels/list_undetermined_runs", first_date=first, last_date=last)
    if not runs:
        return
    if dataset.columns.entity is None:
        for run in runs:
            _insert(warehouse, run["run_id"], pl.Series(dtype=pl.String))
        return
    delay = timedelta(days=dataset.label_delay_days + 1)
    since = min(run["training_first"] for run in runs)
    frauds = read_frauds(dataset, since, max(run["partition_date"] for run in runs) - delay)
    for run in runs:
        day: date = run["partition_date"]
        known = _known_frauds(dataset, warehouse, frauds, run["training_first"], day)
        _insert(warehouse, run["run_id"], known["entity"].drop_nulls().unique())


def _known_frauds(
    dataset: Dataset, warehouse: Warehouse, own: pl.DataFrame, first: date, day: date
) -> pl.DataFrame:
    """The frauds from `first` up to those of the source that are known at the end of the day before `day`:
    those of the source, unless somebody else's label is in force, and those that others have reported.
    """
    last, as_of = day - timedelta(days=dataset.label_delay_days + 1), day - timedelta(days=1)
    dated = own.filter(pl.col("partition_date").is_between(first, last))
    reported = read_reported(dataset, warehouse, dated, first, last, as_of)
    unchanged = dated.join(reported.select(KEYS), on=KEYS, how="anti")
    return pl.concat([frauds.select(own.columns) for frauds in (unchanged, reported.filter("label"))])


def _insert(warehouse: Warehouse, run_id: str, entities: pl.Series) -> None:
    def insert(con: duckdb.DuckDBPyConnection) -> Any:
        con.register("known", entities.to_frame("entity").to_arrow())
        execute(con, "publish/lock_dataset")
        execute(con, "labels/insert_compromised", run_id=run_id)
        execute(con, "labels/count_compromised", run_id=run_id)

    warehouse.transact(insert)
