"""What was known when: labels are stored as they become known, each with the date from whose end it is
known.
"""

import logging
from datetime import date, timedelta

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.errors import WarehouseMissing
from tasks.core.forgotten import PSEUDONYM
from tasks.core.step import step
from tasks.labels.compromised import store_compromised
from tasks.labels.reported_labels import read_reported
from tasks.labels.source_labels import KEYS, read_labels, read_usable_labels
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute

log = logging.getLogger(__name__)


@step
def labels(dataset: Dataset, warehouse: Warehouse, relabel_days: int, day: date) -> None:
    """Stores what is known after the night of `day`: the source's labels of the committed dates up to it,
    from `relabel_days` matured dates back, and the entities that were known to be compromised on it.
    """
    since = day - timedelta(days=dataset.label_delay_days + relabel_days - 1)
    scored = warehouse.row("labels/find_scored_period", first_date=since, last_date=day)
    if dataset.columns.label and scored and scored["first_date"]:
        store_labels(dataset, warehouse, scored["first_date"], scored["last_date"], as_of=day)
    store_compromised(dataset, warehouse, day, day)


def store_labels(dataset: Dataset, warehouse: Warehouse, first: date, last: date, as_of: date) -> None:
    """Appends the source's new labels of first..last to the table `labels`.

    The label of date x is known from the end of x + `label_delay_days`; those known by today, or at the end
    of `as_of`, are stored. One that differs from what is stored is known from the end of `as_of`.
    """
    delay = dataset.label_delay_days
    mature = min(last, max(as_of, date.today()) - timedelta(days=delay))
    if mature < first:
        return
    known_at = pl.col("partition_date").dt.offset_by(f"{delay}d").alias("known_at")
    labels, left_out = read_usable_labels(dataset, first, mature)
    for each in left_out:
        log.warning("%s  labels     left out: %s", each.date, each.reason)
    found = labels.with_columns(known_at)

    def insert(con: duckdb.DuckDBPyConnection) -> None:
        con.register("found", found.to_arrow())
        execute(con, "labels/insert_source_labels", as_of=as_of, pseudonym=PSEUDONYM)

    warehouse.transact(insert)


def known_labels(
    dataset: Dataset, warehouse: Warehouse, first: date, last: date, as_of: date
) -> pl.DataFrame:
    """Returns the labels of the dates first..last, in the columns of `read_labels` but for the kind.

    The source's own label counts, unless that of somebody else (an analyst, a chargeback) is in force at the
    end of `as_of`; see the macro labels_known_at.
    """
    own = read_labels(dataset, first, last).drop("kind")
    try:
        reported = read_reported(dataset, warehouse, own.filter("label"), first, last, as_of)
    except WarehouseMissing:
        return own
    both = own.join(reported.select(*KEYS, reported="label"), on=KEYS, how="left", maintain_order="left")
    corrected = both.with_columns(
        label=pl.coalesce("reported", "label"), is_strange=pl.col("is_strange") & pl.col("reported").is_null()
    ).select(own.columns)
    only_reported = reported.join(own, on=KEYS, how="anti", maintain_order="left")
    only_reported = only_reported.with_columns(is_strange=pl.lit(False)).select(own.columns)
    return pl.concat([corrected, only_reported])
