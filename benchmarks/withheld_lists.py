"""The cards that analysts would see of a week of simulated card transactions, by several lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from models.detector.detector import Detector
from models.detector.head_inputs import inputs_of
from models.flagging.flags import NightScores
from models.flagging.reserve import flag_night
from models.settings import ThresholdSettings
from tasks.core.dataset import Dataset
from tasks.features.build import feature_batches
from tasks.labels.source_labels import read_labels
from tasks.training.window import BATCH_ROWS, KEYS, prepare, read_window
from tasks.warehouse.connection import Warehouse

CARDS = 100  # of a night's list
NETWORKS, HEAD, BOTH, SHARED = "the networks", "the head alone", "with the head", "shared"
LISTS = {NETWORKS: 0.0, HEAD: 0.0, BOTH: 0.0, SHARED: 0.5}  # the reserve of each list

Orders = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Week:
    """The rows of seven nights whose card was not known to be compromised: id, entity, partition_date, label,
    kind; and their features.
    """

    keys: pl.DataFrame
    features: pl.DataFrame


@dataclass(frozen=True)
class ListFigures:
    """auc_roc, average_precision: of the order of a list; None of the one that two orders share.

    card_precision: as evaluations have it, the share of cards with a fraud, which are left out on later
    nights; the mean of the nights.
    """

    auc_roc: float | None
    average_precision: float | None
    card_precision: float


def read_week(dataset: Dataset, warehouse: Warehouse, first: date, prepared: Path) -> Week:
    """The nights of a week, with the labels that are known later."""
    last, delay = first + timedelta(days=6), dataset.label_delay_days
    days, _ = prepare(dataset, read_window(dataset, first, last, warehouse.files)[0], prepared)
    keys, features = [], []
    for day in days:
        for batch in feature_batches(dataset, day, BATCH_ROWS):
            keys.append(batch.keys.select("id", "entity", partition_date=pl.lit(day.date)))
            features.append(batch.features)
    start, _ = dataset.training_window(first)
    labels = read_labels(dataset, start, last).unique(KEYS)
    first_frauds = labels.filter("label").group_by("entity").agg(first_fraud=pl.col("partition_date").min())
    known_from = pl.col("first_fraud").dt.offset_by(f"{delay + 1}d")
    joined = (
        pl.concat(keys)
        .join(labels.select(*KEYS, "label", "kind"), on=KEYS, how="left", maintain_order="left")
        .join(first_frauds, on="entity", how="left", maintain_order="left")
        .with_columns(is_new=(pl.col("partition_date") < known_from).fill_null(True))
    )
    is_new = joined["is_new"]
    assert len(days) == 7
    return Week(joined.filter(is_new), pl.concat(features).filter(is_new))


def orders(detector: Detector, week: Week) -> Orders:
    """The scores of the rows by each of the LISTS; a version without a head has those of the networks."""
    scores, networks = detector.score(week.features), detector.autoencoder
    if detector.blend is None or scores.alone is None:
        return dict.fromkeys(LISTS, scores.score)
    columns = inputs_of(networks, detector.encoder.encode(week.features)).columns
    head = detector.blend.head.log_odds(columns)
    return {NETWORKS: scores.alone, HEAD: head, BOTH: scores.score, SHARED: scores.score}


def listed(detector: Detector, ranked: Orders, week: Week) -> dict[str, NDArray[np.bool_]]:
    """Which rows have their card on each of the LISTS of their night."""
    return {name: _on_list(detector, ranked, week, name)[0] for name in LISTS}


def figures(detector: Detector, ranked: Orders, week: Week) -> dict[str, ListFigures]:
    """How good each of the LISTS is."""
    labels = week.keys["label"].to_numpy()
    found = {}
    for name, scores in ranked.items():
        _, cards = _on_list(detector, ranked, week, name, once=True)
        order = name != SHARED
        found[name] = ListFigures(
            float(roc_auc_score(labels, scores)) if order else None,
            float(average_precision_score(labels, scores)) if order else None,
            cards,
        )
    return found


def found(week: Week, on_list: NDArray[np.bool_], kind: str) -> int:
    """The frauds of a kind whose card is on the list of their night."""
    return week.keys.filter(pl.Series(on_list) & pl.col("label"), kind=kind).height


def _on_list(
    detector: Detector, ranked: Orders, week: Week, name: str, *, once: bool = False
) -> tuple[NDArray[np.bool_], float]:
    """Which rows have their card on the list of their night, and the share of cards on it with a fraud.

    once: whether a card that was found is left out on later nights.
    """
    rule = ThresholdSettings(strategy="budget", value=CARDS, reserve=LISTS[name])
    cards, dates = week.keys["entity"], week.keys["partition_date"]
    on_list, done = np.zeros(len(cards), bool), cards.clear()
    shares = []
    for day in dates.unique().sort():
        rows = np.flatnonzero((dates == day) & ~cards.is_in(done.implode()))
        night = week.keys[rows]
        scores = NightScores(ranked[name][rows], entities=night["entity"], ids=night["id"])
        flags = flag_night(detector, scores, ranked[NETWORKS][rows].astype(np.float32), rule)
        on_list[rows] = night["entity"].is_in(night["entity"].filter(pl.Series(flags.flagged)).implode())
        frauds = night.filter(pl.Series(on_list[rows]) & pl.col("label"))["entity"].unique()
        shares.append(len(frauds) / CARDS)
        done = done.append(frauds) if once else done
    return on_list, float(np.mean(shares))
