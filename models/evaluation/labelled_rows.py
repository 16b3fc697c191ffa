"""Scored rows whose labels are known, and how they are drawn and merged for bootstrap replicates."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledRows:
    """Scored rows whose labels are known.

    dates: datetime64[D] (rows,), the partition of each row.
    entities: any dtype (rows,) without nulls, who an alert is about; None where each row stands for itself.
    labels: bool (rows,), True is a fraud.
    scores: float (rows,), finite; higher is stranger.
    flagged: bool (rows,), whether the threshold flags the row.
    weights: float (rows,), how many rows of the population each row stands for; None counts each once.
    Raises ValueError where the lengths differ or a score is not finite.
    """

    dates: NDArray[np.datetime64]
    entities: NDArray[Any] | None
    labels: NDArray[np.bool_]
    scores: Floats
    flagged: NDArray[np.bool_]
    weights: Floats | None = None

    def __post_init__(self) -> None:
        columns = (self.dates, self.entities, self.labels, self.flagged, self.weights)
        if any(column is not None and column.shape != self.scores.shape for column in columns):
            raise ValueError(f"the columns must all have {self.scores.shape[0]} rows")
        if not np.isfinite(self.scores).all():
            raise ValueError("the scores must be finite")

    @property
    def weight(self) -> Floats:
        return np.ones(self.scores.shape) if self.weights is None else self.weights


def frauds_in(rows: LabelledRows) -> float:
    """Returns the weighted number of frauds."""
    return float(rows.weight[rows.labels].sum())


def copies(labelled: LabelledRows) -> Callable[[np.random.Generator], Floats]:
    """Returns what draws the copies of each row in a replicate (rows,): equal for all rows of an entity."""
    codes = _codes(labelled)
    entities = int(codes.max(initial=-1)) + 1
    return lambda random: random.poisson(1.0, entities).astype(np.float64)[codes]


def pools(labelled: LabelledRows) -> Callable[[Floats], LabelledRows]:
    """Merges the normal rows between two neighbouring scores of frauds into one row, as every ranking metric
    treats them alike.

    Rows that tie with a fraud keep their score, so the value is exactly that of all rows.
    """
    frauds = np.unique(labelled.scores[labelled.labels])
    gap = np.searchsorted(frauds, labelled.scores, "left") + np.searchsorted(frauds, labelled.scores, "right")
    return _merged(labelled, 2 * gap + labelled.labels)


def flag_groups(labelled: LabelledRows) -> Callable[[Floats], LabelledRows]:
    """Rows with the same label and flag become one."""
    return _merged(labelled, 2 * labelled.flagged + labelled.labels)


def entity_days(labelled: LabelledRows) -> Callable[[Floats], LabelledRows]:
    """One row per day and entity, with its highest score, label and flag, and the weight of its highest row;
    in order of the days, the highest score first.
    """
    frame = pl.DataFrame({"date": labelled.dates, "entity": _codes(labelled), "score": labelled.scores})
    frame = frame.with_columns(
        pl.Series("label", labelled.labels),
        pl.Series("flagged", labelled.flagged),
        pl.Series("weight", labelled.weight),
    )
    highest = pl.col("row").sort_by(["score", "weight"]).last().alias("row")
    days = (
        frame.with_row_index("row")
        .group_by("date", "entity")
        .agg(highest, pl.col("score", "label", "flagged").max())
        .sort("date", "score", "entity", descending=[False, True, False])
    )
    columns = {name: days[name].to_numpy() for name in days.columns}
    rows = LabelledRows(
        columns["date"], columns["entity"], columns["label"], columns["score"], columns["flagged"]
    )
    return lambda weights: replace(rows, weights=weights[columns["row"]])


def _merged(labelled: LabelledRows, group: NDArray[np.intp]) -> Callable[[Floats], LabelledRows]:
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    rows = LabelledRows(
        labelled.dates[first], None, labelled.labels[first], labelled.scores[first], labelled.flagged[first]
    )
    return lambda weights: replace(
        rows, weights=np.bincount(number, weights, minlength=first.size).astype(np.float64)
    )


def _codes(labelled: LabelledRows) -> NDArray[np.int64]:
    """Returns a number from 0 for every entity; the row's own number where there are no entities."""
    if labelled.entities is None:
        return np.arange(labelled.scores.size)
    return np.asarray(pl.Series(labelled.entities).rank("dense").to_numpy(), np.int64) - 1
