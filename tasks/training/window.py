"""The training window: its partitions, their features as on their own nights, and the rows to learn from."""

import logging
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
from pydantic import TypeAdapter

from models.errors import TrainingError
from tasks.core.dataset import Dataset
from tasks.core.errors import FeatureError, PartitionRejected, SourceError, WarehouseMissing, first_line
from tasks.core.forgotten import PSEUDONYM
from tasks.core.references import DateLeftOut, Features, LeftOut, Partition
from tasks.features.build import build_features, feature_batches
from tasks.labels.source_labels import has_labels
from tasks.source.connection import list_dates
from tasks.source.ingest import read_partition
from tasks.validation.validate_again import validate_again
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)
BATCH_ROWS = 250_000
_FEATURES = TypeAdapter(Features)
KEYS = ["partition_date", "id"]


@dataclass(frozen=True)
class TrainingRows:
    """The features of a window's rows, in an order that does not depend on the source's.

    normals: all rows but the known frauds and those whose label is no label. frauds: known frauds that are
    left out. unconfirmed: bool (normals,), the rows that nothing is fitted to. strange_labels: number of rows
    that are left out because their label is none. dates: the dates that have rows, in order. keys:
    partition_date and id of the normals.
    """

    normals: pl.DataFrame
    frauds: pl.DataFrame
    unconfirmed: pl.Series
    strange_labels: int
    dates: tuple[date, ...]
    keys: pl.DataFrame

    @property
    def left_out(self) -> LeftOut:
        return LeftOut(
            rows=self.normals.height + self.frauds.height + self.strange_labels,
            dates=len(self.dates),
            known_frauds=self.frauds.height,
            unconfirmed=int(self.unconfirmed.sum()),
            strange_labels=self.strange_labels,
        )


def read_window(
    dataset: Dataset, first: date, last: date, files: Path
) -> tuple[list[Partition], list[DateLeftOut]]:
    """The partitions of the dates `first`..`last`, as far as they are there, and those that cannot be read,
    each with a warning.

    Raises SourceError where there is none.
    """
    days = [day for day in list_dates(dataset.source) if first <= day <= last]
    missing = (last - first).days + 1 - len(days)
    if missing:
        log.warning("%s..%s  train      %d of the window's dates have no partition", first, last, missing)
    if not days:
        raise SourceError(
            f"{first}..{last}: no date of the training window has a partition; train as of a later date"
        )
    partitions, left_out = [], []
    for day in days:
        try:
            partitions.append(read_partition(dataset, day, files))
        except SourceError as error:
            left_out.append(_leave_out(day, error))
    _warn_of_look_backs(partitions, first)
    return partitions, left_out


def _warn_of_look_backs(partitions: list[Partition], first: date) -> None:
    """Logs one warning for each date before the window that its look-backs leave out."""
    before = {each.date: each.reason for day in partitions for each in day.left_out if each.date < first}
    for day, reason in sorted(before.items()):
        log.warning("%s  train      left out of the look-back of the training window: %s", day, reason)


def _leave_out(day: date, error: Exception) -> DateLeftOut:
    reason = first_line(error).removeprefix(f"{day}: ")
    log.warning("%s  train      left out of the training window: %s", day, reason)
    return DateLeftOut(day, reason)


def prepare(
    dataset: Dataset, partitions: list[Partition], folder: Path
) -> tuple[list[Features], list[DateLeftOut]]:
    """Validates every day of the window and builds its features as on its own night; a day that cannot be
    used is left out, with a warning, and so is one without its labels where known frauds are to be left out.

    folder: where each usable day is kept. It is that of one dataset, with and without the features that are
    built from labels: the days that the folder has of the first are used for the second.
    """
    days, left_out = [], []
    needs_labels = dataset.columns.label is not None and dataset.training.rows == "normal"
    for partition in partitions:
        try:
            if needs_labels and not has_labels(dataset, partition.date):
                raise SourceError(f"there is no label column {dataset.columns.label}; deliver the day again")
            days.append(_prepared(dataset, partition, folder / str(partition.date)))
        except (SourceError, PartitionRejected, FeatureError) as error:
            left_out.append(_leave_out(partition.date, error))
    return days, left_out


def _prepared(dataset: Dataset, partition: Partition, folder: Path) -> Features:
    kept = folder / "features.json"
    if dataset.features.sql and kept.exists():  # else the gate has a rule for each feature
        found = _FEATURES.validate_json(kept.read_bytes())
        if found.validated.partition == partition:
            return found
    folder.mkdir(parents=True, exist_ok=True)
    validated = validate_again(dataset, partition, folder)
    found = build_features(dataset, validated, dataset.label_delay_days, folder)
    kept.write_bytes(_FEATURES.dump_json(found))
    return found


def require_half(left_out: list[DateLeftOut], days: list[Features]) -> None:
    """Raises TrainingError, naming the dates, where more than half of the window is left out."""
    if len(left_out) > len(days):
        dates = ", ".join(map(str, sorted(left_out, key=lambda each: each.date)))
        raise TrainingError(
            f"{len(left_out)} of {len(left_out) + len(days)} dates of the training window are left out: "
            f"{dates}; deliver them again, or train as of a later date"
        )


def find_unconfirmed(
    dataset: Dataset, warehouse: Warehouse, first: date, last: date, labels: pl.DataFrame
) -> pl.DataFrame:
    """`partition_date` and `id` of the rows of the dates `first`..`last` that were flagged and that none of
    these labels explains.

    None where `training.rows` is all. labels: what was known by the time of the training.
    """
    if dataset.training.rows == "all":
        return labels.select(KEYS).clear()
    try:
        flagged = warehouse.frame("training/list_flagged_rows", first_date=first, last_date=last)
    except WarehouseMissing:
        return labels.select(KEYS).clear()
    return flagged.join(
        labels.filter(pl.col("label").is_not_null()), on=KEYS, how="anti", maintain_order="left"
    )


def find_kept(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    """`partition_date` and `id` of the rows that are known of the dates `first`..`last` on which an entity
    was forgotten: what else the source has of them may be of that entity, whose labels lead nowhere.
    """
    try:
        return warehouse.frame(
            "training/list_kept_rows", first_date=first, last_date=last, pseudonym=PSEUDONYM
        )
    except WarehouseMissing:
        return pl.DataFrame(schema={"partition_date": pl.Date, "id": pl.String})


def is_kept(keys: pl.DataFrame, kept: pl.DataFrame) -> pl.Series:
    """Whether each row may be learnt from, see `find_kept`; bool (keys,)."""
    return is_among(keys, kept) | ~keys["partition_date"].is_in(kept["partition_date"].unique().implode())


def training_rows(
    dataset: Dataset,
    days: list[Features],
    labels: pl.DataFrame,
    unconfirmed: pl.DataFrame,
    kept: pl.DataFrame,
) -> TrainingRows:
    """The rows to learn from, and those to leave out: known frauds and `unconfirmed` rows, unless
    `training.rows` is all.

    kept: of the dates on which an entity was forgotten, see `find_kept`; what else they have is left out,
        with a warning.
    A window of more than `max_rows` is sampled by id, the same share of each date. Raises TrainingError where
    no rows are left to learn from.
    """
    share = min(1.0, dataset.training.max_rows / max(1, sum(day.rows for day in days)))
    sampled = [_sampled(dataset, day, math.ceil(share * day.rows)) for day in days]
    keys, rows = (pl.concat(parts) for parts in zip(*sampled, strict=True))
    order = keys.with_row_index("row").sort(KEYS)["row"]
    keys, rows = keys[order], rows[order]
    if not (may_learn := is_kept(keys, kept)).all():
        log.warning(
            "%s..%s  train      left out of the training: %d rows of forgotten entities, or that came after "
            "the night of their date",
            days[0].date,
            days[-1].date,
            (~may_learn).sum(),
        )
        keys, rows = keys.filter(may_learn), rows.filter(may_learn)
    if dataset.training.rows == "all":
        labels = labels.clear()
    is_strange = is_among(keys, labels.filter("is_strange"))
    is_fraud = is_among(keys, labels.filter("label")) & ~is_strange
    is_normal = ~(is_fraud | is_strange)
    if not is_normal.any():
        window = f"{days[0].date}..{days[-1].date}"
        strange = f" ({is_strange.sum():,} labels are none)" if is_strange.any() else ""
        raise TrainingError(
            f"{window}: the training window has no normal rows{strange}; check column "
            f'{dataset.columns.label}, or set training.rows = "all"'
        )
    return TrainingRows(
        rows.filter(is_normal),
        rows.filter(is_fraud),
        is_among(keys, unconfirmed).filter(is_normal),
        strange_labels=int(is_strange.sum()),
        dates=tuple(keys["partition_date"].unique().sort()),
        keys=keys.filter(is_normal),
    )


def _sampled(dataset: Dataset, day: Features, most: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The keys and the features of at most so many rows of a date, drawn by their ids."""
    batches = list(feature_batches(dataset, day, BATCH_ROWS))
    ids = pl.concat([batch.keys.select("id") for batch in batches])
    rows = pl.concat([batch.features for batch in batches])
    keys = ids.select(pl.lit(day.date).alias("partition_date"), "id")
    if keys.height <= most:
        return keys, rows
    chosen = keys.with_row_index("row").sort("id").sample(most, seed=0, shuffle=False)["row"]
    return keys[chosen], rows[chosen]


def is_among(keys: pl.DataFrame, some: pl.DataFrame) -> pl.Series:
    """Whether each row of the keys is among some others; bool (keys,)."""
    marked = some.select(KEYS).unique().with_columns(is_among=True)
    found = keys.join(marked, on=KEYS, how="left", maintain_order="left")
    return found["is_among"].fill_null(False)
