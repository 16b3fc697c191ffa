"""The rows that a head learns from: the known frauds of a window of its own, and its normal rows."""

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from models.head.rows import HeadRows, HeadTraining, first_tested
from models.networks.fitting import split
from tasks.core.dataset import Dataset
from tasks.core.references import Features, Partition
from tasks.features.build import feature_batches
from tasks.labels.known_labels import known_labels
from tasks.source.connection import list_dates
from tasks.training.window import (
    BATCH_ROWS,
    KEYS,
    TrainingRows,
    find_kept,
    find_unconfirmed,
    is_among,
    is_kept,
    prepare,
    read_window,
)
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)
MOST_NORMALS = 200_000  # of a window, the same share of each date; known frauds are never sampled


@dataclass(frozen=True)
class HeadWindow:
    """What a head may learn from.

    first, last: its dates. earlier: the partitions of those before the training window.
    labels: of all of its dates, known by the time of the training. known_then: keys of the frauds that were
    known at the start of the first tested date. unconfirmed: keys of the flagged rows that
    none of them explains. kept: see `find_kept`.
    why_none: why no head is learnt, in a sentence; None where one is to be.
    """

    first: date
    last: date
    earlier: list[Partition]
    labels: pl.DataFrame
    known_then: pl.DataFrame
    unconfirmed: pl.DataFrame
    kept: pl.DataFrame
    why_none: str | None = None


def read_head_window(dataset: Dataset, warehouse: Warehouse, as_of: date) -> HeadWindow | None:
    """Returns what a head may learn from, by the labels known at the start of `as_of`; None where none is
    asked for.

    Dates before the training window that cannot be read are left out, with a warning.
    """
    if dataset.head.kind == "none":
        return None
    start, last = dataset.training_window(as_of)
    first = last - timedelta(days=dataset.head.window_days - 1)
    before = start - timedelta(days=1)
    labels = known_labels(dataset, warehouse, first, last, as_of - timedelta(days=1))
    unconfirmed = find_unconfirmed(dataset, warehouse, first, last, labels)
    kept = find_kept(warehouse, first, last)
    then = first_tested(first, last) - timedelta(days=1)
    matured = then - timedelta(days=dataset.label_delay_days)
    known_then = known_labels(dataset, warehouse, first, matured, then).filter("label").select(KEYS)
    if why := _why_none(dataset, labels):
        log.info("%s  train      no head: %s", as_of, why)
        return HeadWindow(first, last, [], labels, known_then, unconfirmed, kept, why)
    earlier: list[Partition] = []
    if any(first <= day <= before for day in list_dates(dataset.source)):
        earlier, _ = read_window(dataset, first, before, warehouse.files)
    return HeadWindow(first, last, earlier, labels, known_then, unconfirmed, kept)


def _why_none(dataset: Dataset, labels: pl.DataFrame) -> str | None:
    """Why `auto` learns no head, before its dates are read for nothing; None where it may learn one."""
    if dataset.features.image:
        return "it is not for images."
    if dataset.training.rows == "all":
        return 'the networks learn all rows (training.rows = "all").'
    frauds, least = labels.filter("label").height, dataset.head.least_frauds
    if dataset.head.kind == "auto" and frauds < least:
        days = dataset.head.window_days
        return f"{frauds:,} known frauds in {days} dates are too few: at least {least:,} are needed."
    return None


def head_training(
    dataset: Dataset, window: HeadWindow, days: list[Features], rows: TrainingRows, staging: Path
) -> HeadTraining:
    """Returns what a head is learnt with.

    Its normal rows are those known as normal, and those of no known label that were not flagged; of the
    training window, only the rows by which the networks are validated: they learn the others, and the
    p-values come from the rest.
    days: the features of the training window. rows: its rows.
    """
    days = [*prepare(dataset, window.earlier, staging)[0], *days]
    days = [day for day in days if window.first <= day.date]
    labels = window.labels.select(*KEYS, "label", "is_strange").unique(KEYS, keep="first")
    taken = np.ones(rows.keys.height, bool)
    taken[split(rows.keys.height, dataset.training.seed).validation] = False
    excluded = pl.concat([rows.keys.filter(taken).select(KEYS), window.unconfirmed.select(KEYS)]).unique()
    most = MOST_NORMALS // max(1, len(days))
    chosen = [_rows_of(dataset, day, labels, excluded, window.kept, most) for day in days]
    keys, features = (pl.concat(parts) for parts in zip(*chosen, strict=True))
    order = keys.with_row_index("row").sort(KEYS)["row"]
    keys, features = keys[order], features[order]
    is_new = _new(keys, dataset.label_delay_days)
    keys, features = keys.filter(is_new), features.filter(is_new)
    has_entities = dataset.columns.entity is not None
    return HeadTraining(
        dataset.head,
        HeadRows(
            features,
            frauds=keys["is_fraud"].to_numpy(),
            known_then=(keys["is_fraud"] & is_among(keys, window.known_then)).to_numpy(),
            weights=keys["weight"].to_numpy(),
            dates=keys["partition_date"].to_numpy(),
            entities=keys["entity"].fill_null(keys["id"]).to_numpy() if has_entities else None,
            first=window.first,
            last=window.last,
            unconfirmed=window.unconfirmed.height,
            compromised=int((~is_new).sum()),
        ),
        dataset.training.seed,
        dataset.label_delay_days,
    )


def _rows_of(
    dataset: Dataset,
    day: Features,
    labels: pl.DataFrame,
    excluded: pl.DataFrame,
    kept: pl.DataFrame,
    most: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The known frauds of a date and at most so many of its normal rows: keys, is_fraud and weight, which is
    how many rows of the date each stands for; and the features.
    """
    batches = list(feature_batches(dataset, day, BATCH_ROWS))
    keys = pl.concat([batch.keys.select("id", "entity") for batch in batches]).with_row_index("row")
    keys = keys.with_columns(partition_date=pl.lit(day.date))
    keys = keys.filter(is_kept(keys, kept))
    known = keys.join(labels, on=KEYS, how="left", maintain_order="left").filter(
        ~pl.col("is_strange").fill_null(False)
    )
    is_fraud = pl.col("label").fill_null(False)
    frauds = known.filter(is_fraud).with_columns(is_fraud=pl.lit(True), weight=pl.lit(1.0))
    normals = known.filter(~is_fraud)
    usable = normals.join(excluded, on=KEYS, how="anti", maintain_order="left").sort("id")
    if usable.height > most:
        usable = usable.sample(most, seed=0, shuffle=False)
    weight = normals.height / max(1, usable.height)
    usable = usable.with_columns(is_fraud=pl.lit(False), weight=pl.lit(weight))
    chosen = pl.concat([frauds, usable])
    rows = pl.concat([batch.features for batch in batches])[chosen["row"]]
    return chosen.select(*KEYS, "entity", "is_fraud", "weight"), rows


def _new(keys: pl.DataFrame, label_delay_days: int) -> pl.Series:
    """Whether the entity of each row was not yet known to be compromised on its date, by the frauds of the
    window; bool (rows,).
    """
    found = keys.filter(pl.col("is_fraud") & pl.col("entity").is_not_null())
    first_frauds = found.group_by("entity").agg(first_fraud=pl.col("partition_date").min())
    joined = keys.join(first_frauds, on="entity", how="left", maintain_order="left")
    known_from = pl.col("first_fraud").dt.offset_by(f"{label_delay_days + 1}d")
    return joined.select((pl.col("partition_date") < known_from).fill_null(True)).to_series()
