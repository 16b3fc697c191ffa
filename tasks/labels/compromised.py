"""Which entities were known to be compromised on the date of a night: stored once, with the night."""

from datetime import date, timedelta
from typing import Any

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.labels.source_labels import read_frauds
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute

KEYS = ["id", "partition_date"]


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
        window = {"first_date": run["training_first"], "last_date": day - delay}
        known = _known_frauds(warehouse, frauds, window, day - timedelta(days=1))
        _insert(warehouse, run["run_id"], known["entity"].drop_nulls().unique())


def _known_frauds(
    warehouse: Warehouse, own: pl.DataFrame, window: dict[str, date], as_of: date
) -> pl.DataFrame:
    """The frauds of the window: those of the source, unless somebody else has reported another label since,
    and those that others have reported, as far as they were known at the end of `as_of`.
    """
    reported = warehouse.frame("labels/list_reported_labels", **window, as_of=as_of)
    dated = own.filter(pl.col("partition_date").is_between(window["first_date"], window["last_date"]))
    unchanged = dated.join(reported.select(KEYS), on=KEYS, how="anti")
    return pl.concat([frauds.select(own.columns) for frauds in (unchanged, reported.filter("label"))])


def _insert(warehouse: Warehouse, run_id: str, entities: pl.Series) -> None:
    def insert(con: duckdb.DuckDBPyConnection) -> Any:
        con.register("known", entities.to_frame("entity").to_arrow())
        execute(con, "publish/lock_dataset")
        execute(con, "labels/insert_compromised", run_id=run_id)
        execute(con, "labels/count_compromised", run_id=run_id)

    warehouse.transact(insert)
