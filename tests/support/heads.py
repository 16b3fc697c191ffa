"""Heads on known frauds, for tests."""

from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl
from detectors import NASTY, NORMAL, TRAINING, payments
from numpy.typing import NDArray

from models.detector.detector import Detector, train
from models.head.rows import HeadRows, HeadTraining
from models.settings import HeadSettings, ModelSettings

FIRST, DAYS = date(2024, 1, 1), 30


def head_training(frame: pl.DataFrame, frauds: NDArray[np.bool_], **keys: object) -> HeadTraining:
    """What a head is learnt with: the rows are of 30 dates in turn, and labels are known a week later."""
    rows = HeadRows(
        frame,
        frauds=frauds,
        known_then=frauds,
        weights=np.ones(len(frame)),
        dates=np.datetime64(FIRST) + np.arange(len(frame)) % DAYS,
        entities=None,
        first=FIRST,
        last=FIRST + timedelta(days=DAYS - 1),
    )
    settings = HeadSettings.model_validate({"kind": "auto"} | keys)
    return HeadTraining(settings, rows, seed=3, label_delay_days=7)


def hidden_frauds(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Frauds of `payments` that no network finds strange."""
    found = frame.select(pl.col("noise").is_between(0.8, 1.3) & (pl.col(NASTY) == "web")).to_series()
    return found.to_numpy()


def learn(frauds: NDArray[np.bool_] | None = None, **keys: object) -> Detector:
    """A small detector, trained with a head on these frauds among 6,000 rows."""
    frame = payments(6_000, seed=4)
    head = head_training(frame, hidden_frauds(frame) if frauds is None else frauds, **keys)
    model = ModelSettings(hidden=(24, 2, 24), input_noise=0.05, score="whitened")
    frauds_of_window = payments(400, seed=5).filter(pl.col("noise").is_between(0.8, 1.3))
    return train(
        NORMAL, ["a", "b", "c", "d", "noise"], [NASTY], model, TRAINING, anomalies=frauds_of_window, head=head
    )


@cache
def with_head() -> Detector:
    return learn()
