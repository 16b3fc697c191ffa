"""What the next night would do with the newest partition, for `nightscore doctor`: its labels, the gate, its
features and the training window. The functions are the night's own; nothing is kept.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.errors import FeatureError, NightError, PartitionRejected, first_line
from tasks.core.masking import MASK
from tasks.core.references import DateLeftOut, Validated
from tasks.operations.installation import Check
from tasks.operations.source_inspection import spread
from tasks.source.connection import connect, list_dates, readable
from tasks.source.ingest import read_partition
from tasks.source.label_values import MOST_LABELS, count_labels
from tasks.source.look_back import check_dates, read_contents, unreadable_dates
from tasks.source.view import create_view

SHOWN, LABELS_SHOWN = 5, 20  # rules or dates in a message; values of a label
CLOSE = 1e-6  # relative: sums of the same numbers in another order differ in their last digits
BATCH_ROWS = 250_000
ID = "\0id"  # no feature has such a name
MEANINGS = {True: "(fraud)", False: "(normal)", None: "(no label)"}


@dataclass(frozen=True)
class Rehearsal:
    """A night of the newest partition. staging: a folder for what its steps write.

    has_champion: whether it can be scored without a training.
    """

    dataset: Dataset
    staging: Path
    has_champion: bool = False

    @cached_property
    def dates(self) -> list[date]:
        """Every date of the source; at least one."""
        if dates := list_dates(self.dataset.source):
            return dates
        raise NightError("the source has no dates")

    @cached_property
    def validated(self) -> Validated | PartitionRejected:
        """The newest partition as the gate leaves it, or why the gate rejects it."""
        from tasks.validation.validate import validate_partition  # loads Great Expectations

        partition = read_partition(self.dataset, self.dates[-1])
        try:
            return validate_partition(self.dataset, partition, self.staging)
        except PartitionRejected as error:
            return error


@contextmanager
def rehearse(dataset: Dataset, has_champion: bool) -> Iterator[Rehearsal]:
    """Yields the night of a dataset's newest partition; what it wrote is removed at the end."""
    with TemporaryDirectory(prefix="nightscore-") as staging:
        yield Rehearsal(dataset, Path(staging), has_champion)


def check_labels(night: Rehearsal) -> Check:
    """Lists the values of the label column on several dates, and what each means."""
    dataset, name = night.dataset, night.dataset.columns.label
    if name is None:
        return Check("labels", None, "no label column: no quality can be measured, and nothing is left out")
    days = spread(night.dates)
    try:
        found = _count_labels(dataset, days)
    except duckdb.Error:  # an earlier date is no matter of this night
        days = days[-1:]
        with readable(dataset.source, *days):
            found = _count_labels(dataset, days)
    on = f"on {len(days)} dates up to {days[-1]}"
    if found is None:
        return Check("labels", False, f"there is no column {name} {on}", "deliver it, or fix columns.label")
    if not found:
        return Check("labels", None, f"no label is known {on}")
    private = name in dataset.columns.private
    values = ", ".join(
        f"{MASK if private else value} {MEANINGS[meaning]} in {rows:,} rows"
        for value, meaning, rows in found[:LABELS_SHOWN]
    )
    values += ", ..." * (len(found) > LABELS_SHOWN)
    fix = "say with columns.label_positive which values mean fraud, or deliver 1, 0 and null"
    meanings = {meaning for _, meaning, _ in found}
    if meanings == {None}:
        return Check("labels", False, f"no value of {name} is a label {on}: {values}", fix)
    if None in meanings:
        return Check("labels", None, f"some values of {name} are no labels {on}: {values}", fix)
    if dataset.columns.label_positive and len(found) < MOST_LABELS and True not in meanings:
        return Check(
            "labels",
            None,
            f"no value of columns.label_positive occurs {on}: {values}",
            "check how it is written",
        )
    return Check("labels", True, f"{values} {on}")


def _count_labels(dataset: Dataset, days: list[date]) -> list[tuple[str, bool | None, int]] | None:
    """The values of the label column on these dates; None if there is no such column."""
    with connect(dataset.source) as con:
        view = create_view(con, dataset, "labelled", days)
        return count_labels(con, dataset, view) if dataset.columns.label in view.types else None


def check_gate(night: Rehearsal) -> Check:
    """Validates the newest partition as its night does: types, rules and the share of bad rows."""
    validated = night.validated
    if isinstance(validated, PartitionRejected):
        return Check(
            "gate",
            False,
            f"the night would reject {validated}",
            "fix that before the night, or fix [quality]",
        )
    day, rows = validated.partition.date, validated.partition.rows
    if not validated.rows_quarantined:
        return Check("gate", True, f"{day}: all {rows:,} rows pass")
    broken = (
        pl.read_parquet(validated.quarantine, glob=False)
        .group_by("rule", "column")
        .agg(rows=pl.struct("id", "copy").n_unique())
        .sort("rows", "rule", descending=[True, False])
    )
    worst = ", ".join(f"{column} {rule} {count:,}" for rule, column, count in broken.head(SHOWN).iter_rows())
    found = f"{day}: {validated.rows_quarantined:,} of {rows:,} rows would be quarantined: {worst}"
    return Check("gate", None, found, "deliver them again, or fix [quality], if that is not what you expect")


def check_features(night: Rehearsal) -> Check:
    """Builds the features of the newest partition, and again from the same rows in another order."""
    from tasks.features.build import build_features, feature_batches

    dataset, validated = night.dataset, night.validated
    if dataset.features.sql is None:
        return Check("features", None, "none are built: they are columns of the source")
    if isinstance(validated, PartitionRejected):
        return Check("features", None, "not built, since the gate rejects the newest partition")
    frames = []
    for reordered in (False, True):
        folder = night.staging / f"features-{reordered}"
        folder.mkdir()
        try:
            built = build_features(dataset, validated, dataset.label_delay_days, folder, reordered=reordered)
        except FeatureError as error:
            return Check("features", False, first_line(error), f"fix {dataset.features.sql}")
        batches = feature_batches(dataset, built, BATCH_ROWS)
        frames.append(
            pl.concat([batch.keys.select(pl.col("id").alias(ID)).hstack(batch.features) for batch in batches])
        )
    if differing := _differing(*(frame.sort(ID) for frame in frames)):
        named = ", ".join(f"{name} in {rows:,} rows" for name, rows in differing.items())
        return Check(
            "features",
            False,
            f"the same rows in another order give other features: {named}",
            f"order by what decides, such as time and then id, in {dataset.features.sql}",
        )
    return Check(
        "features",
        True,
        f"{len(dataset.features.names)} features of {validated.rows:,} rows, the same in two orders",
    )


def _differing(first: pl.DataFrame, second: pl.DataFrame) -> dict[str, int]:
    """Returns the features of which some rows differ, with their numbers of rows."""
    counts = {}
    for name in first.columns:
        one, other = first[name], second[name]
        same = one.eq_missing(other)
        if one.dtype.is_float():
            same |= (one - other).abs().le(one.abs().clip(1.0) * CLOSE).fill_null(False)
        counts[name] = int((~same).sum())
    return {name: count for name, count in counts.items() if count}


def check_training(night: Rehearsal) -> Check:
    """Looks for the dates that a version would learn from, and whether they pass the gate."""
    dataset, day, refused = night.dataset, night.dates[-1], None if night.has_champion else False
    first, last = dataset.training_window(day)
    window, delay = f"{first}..{last}", f"training.label_delay_days is {dataset.label_delay_days}"
    days = [each for each in night.dates if first <= each <= last]
    if not days:
        return Check(
            "training",
            refused,
            f"a version for {day} learns from {window} ({delay}), and none of these dates has a partition",
            "deliver earlier dates, or shorten the delay",
        )
    left_out = _left_out(dataset, days)
    reasons = "; ".join(f"{each.date}: {each.reason}" for each in left_out[:SHOWN])
    fix = "deliver these dates again, or fix the configuration"
    if 2 * len(left_out) > len(days):
        found = (
            f"{len(left_out)} of {len(days)} dates of the training window {window} cannot be used: {reasons}"
        )
        return Check("training", refused, found, fix)
    if left_out:
        return Check("training", None, f"left out of the training window {window}: {reasons}", fix)
    return Check(
        "training",
        True,
        f"a version for {day} learns from {len(days)} of {dataset.training.window_days} dates of {window}",
    )


def _left_out(dataset: Dataset, days: list[date]) -> list[DateLeftOut]:
    """Returns those of the dates that cannot be read or would not pass the gate."""
    with connect(dataset.source) as con:
        unreadable = unreadable_dates(con, dataset, days)
        usable = [day for day in days if day not in {each.date for each in unreadable}]
        contents = read_contents(con, dataset, usable)[1] if usable else {}
        checks = check_dates(con, dataset, contents, None)
    failing = [DateLeftOut(day, check.reason) for day, check in checks.items() if check.reason]
    return sorted([*unreadable, *failing], key=lambda each: each.date)


REHEARSED: tuple[Callable[[Rehearsal], Check], ...] = (
    check_labels,
    check_gate,
    check_features,
    check_training,
)
