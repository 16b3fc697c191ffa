"""What a head costs that has never seen a kind of fraud: on the simulated cards the labels of each kind are
withheld from the head in turn, and the frauds of that kind are counted that are among the 100 cards of each
night. `make bench-quality` runs it for three weeks.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import polars as pl
from withheld_lists import LISTS, figures, found, listed, orders, read_week
from withheld_table import Line, table

from models.detector.detector import TRAINING_SCORES, Detector, train
from models.detector.learn_head import learn_head
from models.encoding.samples import Samples, cap
from models.networks.fitting import split
from tasks.core.dataset import Dataset
from tasks.core.references import Features
from tasks.labels.source_labels import read_labels
from tasks.training.head_rows import HeadWindow, head_training, read_head_window
from tasks.training.window import (
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
    with_all = learn(dataset, learnt, rows, days, window, prepared)
    judged = figures(with_all, orders(with_all, week), week)
    withheld = {}
    for kind in kinds:
        head = learn(dataset, learnt, rows, days, without(window, dataset, kind), prepared)
        withheld[kind] = listed(head, orders(head, week), week)
    for name in LISTS:
        yield Line(
            week=str(first),
            seed=seed,
            list=name,
            **asdict(judged[name]),
            found={kind: found(week, withheld[kind][name], kind) for kind in kinds},
            frauds={kind: week.keys.filter("label", kind=kind).height for kind in kinds},
            rows=week.keys.height,
        )


def configured(example: Path, folder: Path, seed: int) -> tuple[Dataset, Warehouse]:
    """The example with this seed; its head, and the scenario of a fraud as its kind, are in it."""
    from flows.settings import load_settings

    text = example.read_text().replace("[training]\n", f"[training]\nseed = {seed}\n")
    config = folder / DATA / f"seed-{seed}" / "nightscore.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)
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
