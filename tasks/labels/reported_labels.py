"""The labels that others than the source have reported: label files and analysts."""

from datetime import date

import polars as pl

from tasks.core.dataset import Dataset
from tasks.labels.source_labels import KEYS
from tasks.warehouse.connection import Warehouse


def read_reported(
    dataset: Dataset, warehouse: Warehouse, frauds: pl.DataFrame, first: date, last: date, as_of: date
) -> pl.DataFrame:
    """Returns the labels of the dates first..last that others have reported and that are in force at the end
    of `as_of`: id, entity, partition_date, label, weight.

    frauds: the rows of these dates that the source labels as frauds (id, partition_date). Such a label is
    known from the end of the date plus `label_delay_days`, also where no night has stored it yet, and what
    was known before that day does not count.

    Raises WarehouseMissing where there is no warehouse yet.
    """
    dates = {"first_date": first, "last_date": last}
    reported = warehouse.frame("labels/list_reported_labels", **dates, as_of=as_of)
    matured = pl.col("partition_date").dt.offset_by(f"{dataset.label_delay_days}d")
    overruled = reported.filter(pl.col("known_at") < matured).join(frauds, on=KEYS, how="semi")
    return reported.join(overruled, on=KEYS, how="anti", maintain_order="left").drop("known_at")
