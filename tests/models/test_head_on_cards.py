"""Heads on simulated cards: labels make the ranking better, and a kind that nobody has labelled stays on a
shared list.
"""

from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from models.detector.detector import Detector, train
from models.detector.learn_head import learn_head
from models.encoding.samples import Samples
from models.flagging.flags import NightScores
from models.flagging.reserve import flag_night
from models.head.rows import HeadRows, HeadTraining
from models.networks.fitting import split
from models.settings import HeadSettings, ModelSettings, ThresholdSettings, TrainingSettings
from tasks.source.simulation import simulate

pytestmark = pytest.mark.slow
FIRST, DAYS, DELAY, PLACES = date(2024, 1, 1), 50, 7, 10
LAST = FIRST + timedelta(days=39)  # of the known labels
FEATURES = ["amount", "amount_over_mean", "terminal_risk"]
WITHHELD = 3  # leaked card data: what the networks find best


@cache
def cards() -> pl.DataFrame:
    """Transactions of 50 days: amount, the same over the mean of the card so far, and the share of frauds of
    the terminal by the labels known then.
    """
    rows = simulate(FIRST, DAYS, 400, 800, seed=5, radius=20, terminals_per_day=0.5, leaks_per_day=1.0)
    rows = rows.with_columns(day=pl.col("tx_time").dt.date())
    so_far, earlier = pl.col("amount").cum_sum() - pl.col("amount"), pl.int_range(pl.len())
    by_terminal = rows.group_by("terminal_id", "day").agg(pl.len(), pl.col("is_fraud").sum())
    risk = by_terminal.sort("day").select(
        "terminal_id",
        known=pl.col("day").dt.offset_by(f"{DELAY + 1}d"),
        terminal_risk=(pl.col("is_fraud").cum_sum() / pl.col("len").cum_sum()).over("terminal_id"),
    )
    mean = (so_far / earlier.cast(pl.Float64)).over("customer_id")
    rows = rows.with_columns(amount_over_mean=(pl.col("amount") / mean)).sort("day", maintain_order=True)
    joined = rows.join_asof(
        risk.sort("known"), left_on="day", right_on="known", by="terminal_id", check_sortedness=False
    )
    return joined.with_columns(pl.col("terminal_risk").fill_null(0.0), is_fraud=pl.col("is_fraud") == 1)


def learnt() -> pl.DataFrame:
    return cards().filter(pl.col("day") <= LAST)


def normal() -> pl.DataFrame:
    return learnt().filter(~pl.col("is_fraud"))


def later() -> pl.DataFrame:
    return cards().filter(pl.col("day") > LAST + timedelta(days=3))


@pytest.fixture(scope="module")
def networks() -> Detector:
    training = TrainingSettings(epochs=6, batch_size=256, learning_rate=1e-2, seed=3)
    model = ModelSettings(hidden=(12, 2, 12), input_noise=0.1, score="error")
    return train(normal(), FEATURES, [], model, training)


def with_head(networks: Detector, is_labelled: pl.Expr) -> Detector:
    """The networks with a head on the frauds that somebody has labelled; the others look like normal rows."""
    parts, encoded = split(normal().height, 3), networks.encoder.encode(normal())
    left = pl.concat([normal()[parts.validation], learnt().filter("is_fraud")])
    frauds = left.select(is_labelled).to_series().to_numpy()
    rows = HeadRows(
        left,
        frauds=frauds,
        known_then=frauds,
        weights=np.where(left["is_fraud"], 1.0, normal().height / len(parts.validation)),
        dates=left["day"].to_numpy(),
        entities=left["customer_id"].to_numpy(),
        first=FIRST,
        last=LAST,
    )
    training = HeadTraining(HeadSettings(kind="boosted"), rows, seed=3, label_delay_days=DELAY)
    samples = Samples(encoded[parts.fit], encoded[parts.p_value], encoded[:0])
    return learn_head(networks, training, encoded[parts.validation], samples)


def found(detector: Detector, reserve: float) -> int:
    """The frauds of the withheld kind whose card is on the list of their night."""
    scores, rule = (
        detector.score(later()),
        ThresholdSettings(strategy="budget", value=PLACES, reserve=reserve),
    )
    assert scores.alone is not None
    count = 0
    for day in later()["day"].unique():
        rows = np.flatnonzero(later()["day"] == day)
        night = later()[rows]
        flags = flag_night(
            detector, NightScores(scores.score[rows], entities=night["customer_id"]), scores.alone[rows], rule
        )
        on_list = night["customer_id"].is_in(night["customer_id"].filter(pl.Series(flags.flagged)).implode())
        count += night.filter(on_list & night["is_fraud"], fraud_scenario=WITHHELD).height
    return count


def test_labels_make_the_ranking_of_later_cards_better(networks: Detector) -> None:
    detector = with_head(networks, pl.col("is_fraud"))
    labels, scores = later()["is_fraud"].to_numpy(), detector.score(later())
    assert scores.alone is not None
    alone, both = (average_precision_score(labels, each) for each in (scores.alone, scores.score))
    assert both > alone + 0.05


def test_a_kind_that_nobody_has_labelled_stays_on_a_shared_list(networks: Detector) -> None:
    detector = with_head(networks, pl.col("is_fraud") & (pl.col("fraud_scenario") != WITHHELD))
    alone, shared, by_score = (found(detector, reserve) for reserve in (1.0, 0.5, 0.0))
    assert shared >= 0.9 * alone > by_score
