"""The rows that a head learns from, and what it was learnt with."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.settings import HeadSettings

TESTED_DATES = 7  # the newest ones, at most a third of the window


def first_tested(first: date, last: date) -> date:
    """Returns the first of the dates of the window first..last that a trial is tested on."""
    days = (last - first).days + 1
    return last - timedelta(days=min(TESTED_DATES, max(1, days // 3)) - 1)


@dataclass(frozen=True)
class HeadRows:
    """Known frauds and normal rows, of which no network learnt any and no p-value comes from any.

    features: the rows. frauds: bool (rows,). known_then: bool (rows,), the frauds that were known at the
    start of the first tested date, see `first_tested`. weights: float64 (rows,), how many rows of its date
    each stands for.
    dates: datetime64[D] (rows,), their partitions. entities: str (rows,), who a row is about, or the row
    itself; None without entities. first, last: the dates of the window.
    unconfirmed: number of flagged rows that no label explains, compromised: number of rows whose entity was
    known to be compromised; neither are among the rows.
    """

    features: pl.DataFrame
    frauds: NDArray[np.bool_]
    known_then: NDArray[np.bool_]
    weights: NDArray[np.float64]
    dates: NDArray[np.datetime64]
    entities: NDArray[Any] | None
    first: date
    last: date
    unconfirmed: int = 0
    compromised: int = 0


@dataclass(frozen=True)
class HeadTraining:
    """What a head is learnt with.

    seed: of the training. label_delay_days: until the label of a row is known.
    """

    settings: HeadSettings
    rows: HeadRows
    seed: int
    label_delay_days: int


@dataclass(frozen=True)
class HeadReport:
    """What came of the training of a head, for the model card.

    used: whether the version has the head. why: one sentence, with the figures. first, last: the dates of the
    rows. frauds, normals, unconfirmed, compromised: numbers of rows, see HeadRows.
    """

    used: bool
    why: str
    first: date
    last: date
    frauds: int
    normals: int
    unconfirmed: int
    compromised: int
