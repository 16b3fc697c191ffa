"""The benchmarks: configurations that load, partitions that follow their protocol, figures from curves and
confusion matrices.
"""

import json
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import partitions
import polars as pl
import protocols
import pytest
import quality
import quality_figures
import quality_rows
import size
import tabular_sets
from detectors import payments
from heads import hidden_frauds, with_head
from withheld_lists import CARDS, LISTS, Week, figures, found, listed, orders
from withheld_table import Line, table

from flows.settings import load_settings
from models.checks.baselines import BASELINES
from models.evaluation.curves import curves
from models.evaluation.labelled_rows import LabelledRows
from models.evaluation.metrics import Confusion, confusion
from models.evaluation.resampling import Figure
from models.networks.fitting import split

EXAMPLES = sorted(quality.EXAMPLES.glob("*.toml"))


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("NIGHTSCORE_DATA", "NIGHTSCORE_PARTITIONS"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads_and_says_on_which_rows_it_was_chosen(example: Path, no_data: Path) -> None:
    settings = load_settings(example)
    assert settings.columns.label
    assert quality.chosen_on(example.read_text()).startswith("Chosen")


def test_every_protocol_has_its_example_and_its_set() -> None:
    assert {protocol.config for protocol in protocols.PROTOCOLS} <= {example.stem for example in EXAMPLES}
    assert {protocol.data for protocol in protocols.PROTOCOLS} == {*partitions.SETS, "card_transactions"}
    for protocol in protocols.PROTOCOLS:
        assert {*protocol.published, *protocol.reach, *protocol.unbeaten, *protocol.doubled} <= set(
            protocol.metrics
        )


def kdd(rows: int = 500) -> pl.DataFrame:
    status = ["normal." if number % 5 < 2 else f"attack-{number % 3}." for number in range(rows)]
    return pl.DataFrame({"row": range(rows), "duration": np.arange(rows) * 7 % 11, "status": status})


def test_kdd_trains_on_the_first_normal_rows_and_is_judged_on_the_rest_and_as_many_attacks() -> None:
    rows = kdd()
    split = partitions.kddcup99(rows)
    training, night = split[partitions.TRAINING], split[partitions.NIGHT]
    normal, attacks = night.filter(is_attack=0), night.filter(is_attack=1)
    assert training["is_attack"].sum() == 0
    assert (training.height, normal.height, attacks.height) == (160, 40, 40)
    assert training["id"].max() < normal["id"].min()
    assert attacks["id"].to_list() == rows.filter(pl.col("status") != "normal.")["row"].head(40).to_list()
    assert set(training.columns) == {"id", "duration", "is_attack"}


def test_the_credit_card_night_is_later_than_what_it_learns_from() -> None:
    seconds = np.random.default_rng(0).integers(0, 40, 101)
    split = partitions.creditcard_2013(
        pl.DataFrame({"Time": seconds, "Amount": np.arange(101.0), "Class": seconds % 2})
    )
    training, night = split[partitions.TRAINING], split[partitions.NIGHT]
    assert (training.height, night.height) == (60, 41)
    assert training["Time"].max() <= night["Time"].min()
    assert sorted(pl.concat([training, night])["Amount"]) == list(range(101))
    assert not set(training["id"]) & set(night["id"])


def test_the_random_split_of_credit_cards_has_each_row_once() -> None:
    split = partitions.creditcard_2013_random(pl.DataFrame({"Amount": np.arange(200.0)}))
    training, night = split[partitions.TRAINING], split[partitions.NIGHT]
    assert (training.height, night.height) == (134, 66)
    assert sorted(pl.concat([training, night])["Amount"]) == list(range(200))
    assert training["id"].max() > night["id"].min()


def test_every_pair_of_image_classes_has_a_training_date_and_the_night_after_it() -> None:
    images = pl.DataFrame(
        {
            "image_id": [f"{k % 10}-{k // 10:04d}" for k in range(10_000)],
            "label": [k % 10 for k in range(10_000)],
            "image_png": b"",
        }
    )
    split = partitions.fashion_mnist(images)
    assert sorted(split) == [partitions.TRAINING + timedelta(days=offset) for offset in range(10)]
    for number, (normal, other) in enumerate(partitions.PAIRS):
        training, night = (
            split[partitions.TRAINING + timedelta(days=2 * number + offset)] for offset in (0, 1)
        )
        assert (training.height, training["is_other"].sum(), night.height, night["is_other"].sum()) == (
            800,
            0,
            210,
            10,
        )
        assert not set(training["id"]) & set(night["id"])
        assert set(training["id"].str.head(1)) == {str(normal)}
        assert set(night.filter(is_other=1)["id"].str.head(1)) == {str(other)}


def test_the_nights_that_are_judged_are_those_that_are_written() -> None:
    judged = {
        protocol.data: {night for window in protocol.windows for night in window}
        for protocol in protocols.PROTOCOLS
    }
    assert judged["kddcup99"] == judged["creditcard_2013"] == judged["generated"] == {partitions.NIGHT}
    assert judged["creditcard_2013_random"] == {partitions.NIGHT}
    assert judged["fashion_mnist"] == {
        partitions.TRAINING + timedelta(days=2 * number + 1) for number in range(len(partitions.PAIRS))
    }


def test_the_generated_set_is_gaussian_with_a_fifth_of_it_uniform_in_a_box() -> None:
    split = partitions.generated(partitions.generate())
    for day, rows in ((partitions.TRAINING, 10_000), (partitions.NIGHT, 1_000)):
        frame = split[day]
        assert (frame.height, frame["is_anomaly"].sum(), frame.width) == (rows, rows // 5, 52)
    rows = pl.concat(split.values())
    assert rows["id"].n_unique() == 11_000
    normal, anomalies = (
        rows.filter(is_anomaly=label).drop("id", "is_anomaly").to_numpy() for label in (0, 1)
    )
    centre = round(float(normal.mean()))
    assert np.abs(normal.mean(axis=0) - centre).max() < 0.1
    standardised = (normal - normal.mean(axis=0)) / normal.std(axis=0)
    assert np.abs((np.abs(standardised) < 1).mean(axis=0) - 0.683).max() < 0.03  # of a Gaussian
    assert np.abs(anomalies).max() <= centre
    assert (
        np.abs(np.quantile(anomalies, [0.25, 0.5, 0.75]) - centre * np.array([-0.5, 0, 0.5])).max()
        < 0.03 * centre
    )  # of a uniform one


def test_the_generated_set_is_the_same_every_time() -> None:
    assert partitions.generate().equals(partitions.generate())
    assert not partitions.generate().equals(partitions.generate(seed=1))


def test_written_partitions_are_what_the_example_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCORE_PARTITIONS", str(tmp_path))
    paths = partitions.write("generated", tmp_path / "absent", tmp_path)
    settings = load_settings(quality.EXAMPLES / "generated.toml")
    for day, path in zip((partitions.TRAINING, partitions.NIGHT), paths, strict=True):
        assert Path(settings.source.path.replace("{date}", str(day)).replace("*", "part-0")) == path
        columns = pl.read_parquet_schema(path)
        assert {settings.columns.id, settings.columns.label, *settings.features.names} == set(columns)


@pytest.mark.parametrize("name", sorted({*partitions.SETS} - {"generated"}))
def test_what_is_missing_is_said(name: str, tmp_path: Path) -> None:
    folder = name.removesuffix("_random")  # another split of the same file
    with pytest.raises(partitions.DataMissing, match=f"{tmp_path}/{folder}/.*set NIGHTSCORE_DATA"):
        partitions.write(name, tmp_path, tmp_path)
    assert not any(tmp_path.iterdir())


def judged(rows: int = 400, weighted: bool = True) -> LabelledRows:
    random = np.random.default_rng(3)
    labels = random.random(rows) < 0.2
    scores = np.round(random.normal(size=rows) + 1.5 * labels, 1)  # with ties
    return LabelledRows(
        dates=np.full(rows, "2000-01-02", "datetime64[D]"),
        entities=None,
        labels=labels,
        scores=scores,
        flagged=scores >= 1.2,
        weights=np.where(labels, 1.0, 8.5) if weighted else None,
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_as_many_flags_by_the_same_scores_give_the_same_confusion_matrix(weighted: bool) -> None:
    """What baselines are given is what a threshold of their own with as many flags would give."""
    rows = judged(weighted=weighted)
    own, drawn = confusion(rows), curves(rows, points=100_000)
    assert drawn is not None
    found = quality_figures.confusion_at(drawn.roc, own.tp + own.fn, own.fp + own.tn, own.tp + own.fp)
    assert [found.tp, found.fp, found.fn, found.tn] == pytest.approx([own.tp, own.fp, own.fn, own.tn])


def test_verdicts_are_those_of_the_confusion_matrix() -> None:
    found = quality_figures.verdicts(Confusion(tp=30, fp=10, fn=20, tn=140))
    assert {name: figure.value for name, figure in found.items()} == pytest.approx(
        {"precision": 0.75, "recall": 0.6, "f1": 2 / 3, "accuracy": 0.85}
    )


def test_recall_at_a_precision_is_the_best_that_some_threshold_gives() -> None:
    rows = judged()
    drawn = curves(rows, points=100_000)
    assert drawn is not None
    best = 0.0
    for threshold in np.unique(rows.scores):
        flagged = rows.scores >= threshold
        if rows.weight[flagged & rows.labels].sum() >= 0.6 * rows.weight[flagged].sum():
            best = max(best, (flagged & rows.labels).sum() / rows.labels.sum())
    assert 0 < best < 1
    assert quality_figures.recall_at_precision(drawn.precision_recall, 0.6) == pytest.approx(best)
    assert quality_figures.recall_at_precision(drawn.precision_recall, 1.01) == 0


def test_several_windows_are_their_mean_and_one_is_itself() -> None:
    one, other = ({"detector": {"recall": Figure(value, 0.1, 0.9)}} for value in (0.4, 0.8))
    assert quality_figures.mean([one]) == one
    assert quality_figures.mean([one, other]) == {"detector": {"recall": Figure(pytest.approx(0.6))}}
    assert quality_figures.mean([one, {"detector": {"recall": Figure(None)}}]) == {
        "detector": {"recall": Figure(None)}
    }


def test_several_seeds_are_their_mean_with_the_mean_interval_and_a_spread() -> None:
    one, other = ({"detector": {"recall": Figure(value, 0.1, value + 0.1)}} for value in (0.4, 0.8))
    found = quality_figures.mean_over_seeds([one, other])["detector"]["recall"]
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.1, 0.7))
    assert quality_figures.spread([0.4, 0.8]) == pytest.approx(0.2)
    assert quality_figures.spread([0.4]) is quality_figures.spread([0.4, None]) is None


@pytest.mark.slow
def test_ten_nights_take_less_than_the_limit_and_more_than_their_floor(tmp_path: Path) -> None:
    """A few nights take more for each row than a year: what a warehouse takes when it is empty, and row
    groups that are not full yet.
    """
    measured = size.measure(tmp_path / "nights", nights=10, rows=10_000)
    rows = measured["rows"]
    assert rows["runs"] == 10
    assert rows["score_rows"] + rows["quarantine"] == rows["labels"] == 100_000
    assert 0 < rows["quarantine"] < 1_000
    assert measured["accepted"] == (measured["bytes_per_row"] <= size.MOST_BYTES_PER_ROW)
    assert measured["parquet_bytes_per_row"] < measured["bytes_per_row"] <= size.MOST_BYTES_PER_ROW


def test_drawn_nights_are_distributed_as_nights_are(tmp_path: Path) -> None:
    source = size.transactions(size.FIRST, 10_000)
    scores = pl.read_parquet(size.staged(source, tmp_path / "scores.parquet"))
    assert scores.height + size.quarantined(source).height == source.height
    assert scores["id"].n_unique() == scores.height
    assert scores["rank"].min() == 1
    assert scores.select(((pl.col("p_value") <= 0.05) == pl.col("reasons").is_not_null()).all()).item()
    assert scores.filter("is_flagged")["p_value"].max() < 0.05
    assert 0.04 < scores["reasons"].is_not_null().mean() < 0.08
    assert json.loads(scores["details"][0]).keys() == {"amount", "terminal_id"}
    assert (
        not size.transactions(size.FIRST + timedelta(days=1), 10_000)["transaction_id"]
        .is_in(source["transaction_id"].implode())
        .any()
    )


@pytest.mark.parametrize(
    ("aim", "judged", "to_reach"),
    [
        ({"doubled": ("auc_roc",)}, "detector", (0.6, True)),
        ({"unbeaten": ("auc_roc",)}, "without_head", (0.5, False)),
        ({"reach": {"auc_roc": 0.9}}, "detector", (0.9, False)),
        ({}, "detector", (None, None)),
    ],
)
def test_a_detector_and_its_networks_alone_have_aims_of_their_own(
    aim: dict[str, Any], judged: str, to_reach: tuple[float | None, bool | None]
) -> None:
    protocol = protocols.cards("generated", "", protocols.WEEKS, judged=judged, **aim)
    values = {"detector": 0.7, "without_head": 0.4, "no_model": 0.3, "neighbours": 0.5}
    found = {
        name: {"auc_roc": Figure(value)} for name, value in values.items() if name in (judged, *BASELINES)
    }
    assert quality._reach(protocol, found, "auc_roc") == to_reach


@pytest.mark.slow
def test_a_protocol_runs_as_a_night_and_gives_a_line_for_every_detector_and_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = (quality.EXAMPLES / "generated.toml").read_text()
    (tmp_path / "generated.toml").write_text(example.replace("epochs = 40", "epochs = 3"))
    monkeypatch.setattr(quality, "EXAMPLES", tmp_path)
    monkeypatch.setenv("NIGHTSCORE_PARTITIONS", str(tmp_path / "partitions"))
    (protocol,) = (protocol for protocol in protocols.PROTOCOLS if protocol.config == "generated")
    rows = list(quality.run(protocol, tmp_path, (42, 142)))
    own = {row.metric: row for row in rows if row.score}
    assert tuple(own) == protocol.metrics
    assert {row.detector for row in rows} == {"dense", *BASELINES}
    assert len(rows) == len(own) * (1 + len(BASELINES))
    assert {(row.rows, row.positives) for row in rows} == {(1000, 200)}
    assert own["recall"].reached == (own["recall"].value == 1.0)
    assert json.loads(json.dumps(asdict(own["accuracy"])))["published"] == 0.694
    assert all(row.seeds == 2 and row.spread is not None for row in rows)
    assert quality_rows.table(rows).count("\n") == 1 + len(own)


def test_the_tabular_sets_have_a_line_for_each_set_and_for_their_mean(
    monkeypatch: pytest.MonkeyPatch, no_data: Path
) -> None:
    (no_data / "adbench").mkdir()
    for name, anomalies in (("one", 30), ("two", 60)):
        labels = [k < anomalies for k in range(200)]
        pl.DataFrame({"x": range(200), "anomaly": labels}).write_parquet(no_data / f"adbench/{name}.parquet")
    heads = {"detector with a head": (0.97, 0.8), "head alone": (0.96, 0.9)}
    figures = {"detector": (0.9, 0.5), **heads, **dict.fromkeys(BASELINES, (0.95, 0.4))}
    monkeypatch.setattr(tabular_sets, "judge", lambda *_, **__: figures.items())
    rows = list(tabular_sets.rows((42, 142)))
    own = {(row.protocol, row.metric): row for row in rows if row.detector == "denoiser"}
    assert [row.detector for row in rows if row.score][:3] == [
        "denoiser",
        "denoiser with a head",
        "head alone",
    ]
    assert len(rows) == 3 * 2 * (3 + len(BASELINES))
    assert own["one", "auc_roc"].reach == pytest.approx(0.93)
    assert [own["one", metric].reached for metric in tabular_sets.METRICS] == [False, None]
    mean = own[tabular_sets.MEAN, "average_precision"]
    assert (mean.value, mean.reach, mean.reached, mean.seeds) == (0.5, 0.65, False, 2)
    assert mean.rows == own["one", "auc_roc"].rows + own["two", "auc_roc"].rows == 120


def test_a_withheld_kind_is_judged_by_what_the_shared_list_keeps_of_it() -> None:
    found = {
        "the networks": (0.86, 0.20, 50, 8),
        "the head alone": (0.89, 0.31, 2, 9),
        "with the head": (0.88, 0.30, 5, 9),
        "shared": (None, 0.295, 46, 8),
    }
    lines = [
        Line("2018-07-25", seed, name, auc, auc, precision, {"1": one, "2": two}, {"1": 60, "2": 10}, 900)
        for name, (auc, precision, one, two) in found.items()
        for seed in (42, 142)
    ]
    lines[0] = replace(lines[0], auc_roc=0.88)
    *_, networks, _, _, shared = table(lines).splitlines()
    assert networks.startswith(
        "| 2018-07-25 | the networks | 0.870 ±0.010 | 0.860 ±0.000 | 0.200 ±0.000 | 50 of"
    )
    assert shared.endswith(
        "| shared |  |  | 0.295 ±0.000 | 46 of 60 | 8 of 10 | keeps 92%, 100%; costs 0.005: reached |"
    )
    lines[6:] = [replace(line, card_precision=0.285) for line in lines[6:]]
    assert "costs 0.015: not reached" in table(lines)
    both = table([*lines, *(replace(line, week="2018-08-01", auc_roc=0.7) for line in lines)])
    assert (
        "| all | the networks | 0.785 ±0.005 | 0.860 ±0.000 | 0.200 ±0.000 | 100 of 120 | 16 of 20 |" in both
    )


def test_a_head_on_a_tabular_set_learns_from_what_no_network_has_seen() -> None:
    rows = pl.DataFrame({"x": range(1_000), "anomaly": [k % 10 == 0 for k in range(1_000)]})
    found = tabular_sets.head_training(rows.with_columns(pl.col("anomaly").cast(pl.Int8)), seed=7).rows
    normal = rows.filter(~pl.col("anomaly"))
    left = normal[split(normal.height, 7).validation]
    assert found.features["x"].to_list() == [*left["x"], *rows.filter("anomaly")["x"]]
    assert found.frauds.sum() == 100
    assert found.weights[~found.frauds].sum() == pytest.approx(900)


@pytest.mark.slow
def test_each_list_of_a_week_is_of_its_own_order() -> None:
    detector, features = with_head(), payments(400, seed=8)
    frauds = hidden_frauds(features)
    keys = pl.DataFrame(
        {"id": range(400), "entity": range(400), "label": frauds, "kind": pl.Series(["one"] * 400)}
    )
    nights = keys.select(pl.lit(date(2024, 1, 1)) + pl.duration(days=pl.col("id") % 2)).to_series()
    week = Week(keys.with_columns(nights.alias("partition_date")), features)
    ranked = orders(detector, week)
    judged, on_lists = figures(detector, ranked, week), listed(detector, ranked, week)
    assert judged["the networks"].auc_roc < judged["with the head"].auc_roc
    assert judged["shared"].auc_roc is None
    assert {name: on_list.sum() for name, on_list in on_lists.items()} == dict.fromkeys(LISTS, 2 * CARDS)
    both = on_lists["with the head"] | on_lists["the networks"]
    assert (on_lists["shared"] <= both).all()
    assert found(week, on_lists["the head alone"], "one") == frauds.sum()
    alone = orders(replace(detector, blend=None), week)
    assert all((each == alone["shared"]).all() for each in alone.values())
