"""What a head costs that has never seen a kind of fraud: on the simulated cards the labels of each kind are
withheld from the head in turn, and the frauds of that kind are counted that are among the 100 cards of each
night. `make bench-quality` runs it for three weeks.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.detector.detector import TRAINING_SCORES, Detector, Scores, train
from models.detector.learn_head import learn_head
from models.encoding.samples import Samples, cap
from models.flagging.reserve import flag_night
from models.networks.fitting import split
from models.settings import ThresholdSettings
from tasks.core.dataset import Dataset
from tasks.core.dates import date_range
from tasks.core.references import Features
from tasks.features.build import feature_batches
from tasks.labels.source_labels import read_labels
from tasks.training.head_rows import HeadWindow, head_training, read_head_window
from tasks.training.window import (
    BATCH_ROWS,
    KEYS,
    TrainingRows,
    find_kept,
    find_unconfirmed,
    prepare,
    read_window,
    training_rows,
)
from tasks.warehouse.connection import Warehouse

DATA = "withheld_kinds"
EXAMPLE = "card_transactions"
CARDS = 100  # of a night's list
KEPT, COST = 0.9, 0.01  # of what the networks find of a kind, at least; of card precision, at most
HEAD = '\n[head]\nkind = "auto"\n'
LISTS = {"the networks": 1.0, "with the head": 0.0, "shared": 0.5}  # the reserve of each list


@dataclass(frozen=True)
class Line:
    """One week and seed. list: a key of LISTS. card_precision: of the list, the head with all labels.

    found: by kind, its frauds on the list where its labels were withheld from the head. frauds: all of them.
    """

    week: str
    seed: int
    list: str
    card_precision: float
    found: dict[str, int]
    frauds: dict[str, int]


@dataclass(frozen=True)
class Week:
    """The rows of seven nights whose card was not known to be compromised: id, entity, partition_date, label,
    kind; and their features.
    """

    keys: pl.DataFrame
    features: pl.DataFrame


def print_table(example: Path, folder: Path, weeks: tuple[date, ...], seeds: tuple[int, ...]) -> str:
    """Prints one JSON line per list, week and seed as soon as it is known; returns the Markdown table."""
    lines = []
    for first in weeks:
        for seed in seeds:
            for line in judge(example, folder, first, seed):
                lines.append(line)
                print(json.dumps(asdict(line)), flush=True)
    return table(lines)


def judge(example: Path, folder: Path, first: date, seed: int) -> Iterator[Line]:
    """Trains the networks once, and a head with all labels and without those of each kind."""
    dataset, warehouse = configured(example, folder, seed)
    prepared = folder / "prepared"
    learnt, rows, days, window = networks(dataset, warehouse, first, prepared)
    week = read_week(dataset, warehouse, first, prepared)
    kinds = sorted(week.keys.filter("label")["kind"].unique())
    precisions = card_precisions(learn(dataset, learnt, rows, days, window, prepared), week)
    withheld = {
        kind: listed(learn(dataset, learnt, rows, days, without(window, dataset, kind), prepared), week)
        for kind in kinds
    }
    frauds = {kind: week.keys.filter("label", kind=kind).height for kind in kinds}
    for name in LISTS:
        yield Line(
            week=str(first),
            seed=seed,
            list=name,
            card_precision=precisions[name],
            found={kind: found(week, withheld[kind][name], kind) for kind in kinds},
            frauds=frauds,
        )


def configured(example: Path, folder: Path, seed: int) -> tuple[Dataset, Warehouse]:
    """The example with this seed, a head, and the scenario of a fraud as its kind."""
    from flows.settings import load_settings

    text = example.read_text().replace("[training]\n", f"[training]\nseed = {seed}\n")
    text = text.replace('label = "is_fraud"\n', 'label = "is_fraud"\nlabel_kind = "fraud_scenario"\n')
    config = folder / DATA / f"seed-{seed}" / "nightscore.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text + HEAD)
    settings = load_settings(config)
    return settings, settings.open_warehouse()


def networks(
    dataset: Dataset, warehouse: Warehouse, as_of: date, prepared: Path
) -> tuple[Detector, TrainingRows, list[Features], HeadWindow]:
    """A version without its head, and what a head is learnt from."""
    first, last = dataset.training_window(as_of)
    window = read_head_window(dataset, warehouse, as_of)
    assert window is not None
    unconfirmed = find_unconfirmed(dataset, warehouse, first, last, window.labels)
    days, _ = prepare(dataset, read_window(dataset, first, last, warehouse.files)[0], prepared)
    kept = find_kept(warehouse, first, last)
    rows = training_rows(dataset, days, window.labels, unconfirmed, kept)
    named = dataset.features.numeric, dataset.features.categorical
    learnt = train(rows.normals, *named, dataset.model, dataset.training, anomalies=rows.frauds)
    return learnt, rows, days, window


def learn(
    dataset: Dataset,
    learnt: Detector,
    rows: TrainingRows,
    days: list[Features],
    window: HeadWindow,
    prepared: Path,
) -> Detector:
    """The version with the head of a window, as a training learns it."""
    head = head_training(dataset, window, days, rows, prepared)
    seed, encode = dataset.training.seed, learnt.encoder.encode
    parts, encoded = split(rows.normals.height, seed), encode(rows.normals)
    scored = Samples(
        encoded[cap(parts.fit, TRAINING_SCORES, seed)], encoded[parts.p_value], encode(rows.frauds)
    )
    return learn_head(learnt, head, encoded[parts.validation], scored)


def without(window: HeadWindow, dataset: Dataset, kind: str) -> HeadWindow:
    """The window in which nobody has labelled the frauds of a kind: they look like normal rows."""
    named = read_labels(dataset, window.first, window.last).filter(kind=kind).select(KEYS)
    is_named = named.with_columns(is_named=pl.lit(True))
    labels = window.labels.join(is_named, on=KEYS, how="left", maintain_order="left").with_columns(
        label=pl.when(pl.col("is_named").is_null()).then("label")
    )
    known_then = window.known_then.join(named, on=KEYS, how="anti")
    return replace(window, labels=labels.drop("is_named"), known_then=known_then)


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
    assert len(date_range(first, last)) == len(days)
    return Week(joined.filter(is_new), pl.concat(features).filter(is_new))


def listed(detector: Detector, week: Week) -> dict[str, NDArray[np.bool_]]:
    """Which rows have their card on each of the LISTS; a version without a head has one list alone."""
    scores = detector.score(week.features)
    return {name: _on_list(detector, scores, week, reserve)[0] for name, reserve in LISTS.items()}


def card_precisions(detector: Detector, week: Week) -> dict[str, float]:
    """Card precision at CARDS of each of the LISTS, as evaluations have it: the share of cards with a fraud,
    which are left out on later nights; the mean of the nights.
    """
    scores = detector.score(week.features)
    return {name: _on_list(detector, scores, week, reserve, once=True)[1] for name, reserve in LISTS.items()}


def _on_list(
    detector: Detector, scores: Scores, week: Week, reserve: float, *, once: bool = False
) -> tuple[NDArray[np.bool_], float]:
    """Which rows have their card on the list of their night, and the share of cards on it with a fraud.

    once: whether a card that was found is left out on later nights.
    """
    rule = ThresholdSettings(strategy="budget", value=CARDS, reserve=reserve)
    cards, dates = week.keys["entity"], week.keys["partition_date"]
    on_list, done = np.zeros(len(cards), bool), cards.clear()
    shares = []
    for day in dates.unique().sort():
        rows = np.flatnonzero((dates == day) & ~cards.is_in(done.implode()))
        night = week.keys[rows]
        of_night = Scores(
            scores.error[rows], scores.score[rows], None if scores.alone is None else scores.alone[rows]
        )
        p_values = detector.p_values(of_night.score)
        flags = flag_night(detector, of_night, p_values, rule, night["entity"], night["id"])
        on_list[rows] = night["entity"].is_in(night["entity"].filter(pl.Series(flags.flagged)).implode())
        frauds = night.filter(pl.Series(on_list[rows]) & pl.col("label"))["entity"].unique()
        shares.append(len(frauds) / CARDS)
        done = done.append(frauds) if once else done
    return on_list, float(np.mean(shares))


def found(week: Week, on_list: NDArray[np.bool_], kind: str) -> int:
    """The frauds of a kind whose card is on the list of their night."""
    return week.keys.filter(pl.Series(on_list) & pl.col("label"), kind=kind).height


def table(lines: list[Line]) -> str:
    """One Markdown line per week and list, the mean over the seeds, and whether the shared list keeps enough
    of each kind, at what cost.
    """
    kinds = sorted({kind for line in lines for kind in line.frauds})
    head = ["week", "list", "card precision at 100", *(f"kind {kind} withheld" for kind in kinds), "aims"]
    written = [head, ["---"] * len(head)]
    for week in dict.fromkeys(line.week for line in lines):
        of_week = [line for line in lines if line.week == week]
        means = {name: _mean([line for line in of_week if line.list == name], kinds) for name in LISTS}
        frauds = of_week[0].frauds
        for name, (precision, counts) in means.items():
            cells = [f"{counts[kind]:.4g} of {frauds[kind]}" for kind in kinds]
            aims = _aims(means, kinds) if name == "shared" else ""
            written.append([week, name, f"{precision:.3f}", *cells, aims])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in written)


def _mean(lines: list[Line], kinds: list[str]) -> tuple[float, dict[str, float]]:
    counts = {kind: float(np.mean([line.found[kind] for line in lines])) for kind in kinds}
    return float(np.mean([line.card_precision for line in lines])), counts


def _aims(means: dict[str, tuple[float, dict[str, float]]], kinds: list[str]) -> str:
    alone, shared = means["the networks"][1], means["shared"][1]
    shares = {kind: shared[kind] / alone[kind] for kind in kinds if alone[kind]}
    cost = means["with the head"][0] - means["shared"][0]
    reached = all(share >= KEPT for share in shares.values()) and cost <= COST
    kept = ", ".join(f"{share:.0%}" for share in shares.values())
    return f"keeps {kept}; costs {cost:.3f}: {'reached' if reached else 'not reached'}"
