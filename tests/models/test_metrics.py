"""Metrics agree with scikit-learn and the Fraud Detection Handbook, and obey their laws."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from models.evaluation.curves import _thinned, curves, distribution
from models.evaluation.labelled_rows import LabelledRows
from models.evaluation.metrics import TITLES, confusion, metrics, title
from models.evaluation.resampling import measure

EVERY = metrics([1, 3, 100])
FIRST = np.datetime64("2018-07-25", "D")


def labelled(rows=2000, seed=0, entities=150, fraud_share=0.05, ties=False, weighted=False):
    random = np.random.default_rng(seed)
    labels = random.random(rows) < fraud_share
    scores = np.exp(random.normal(size=rows) + 1.5 * labels)
    scores = np.round(scores) if ties else scores
    return LabelledRows(
        dates=FIRST + random.integers(0, 5, rows),
        entities=np.array([f"card {number}" for number in random.integers(0, entities, rows)], dtype=object)
        if entities
        else None,
        labels=labels,
        scores=scores,
        flagged=scores > np.quantile(scores, 0.9),
        weights=random.uniform(0.5, 9, rows) if weighted else None,
    )


def test_every_metric_has_a_title():
    assert set(TITLES) < set(EVERY)
    assert [title(name) for name in metrics([100])] == [
        "AUC ROC",
        "average precision",
        "card precision at 100",
        "precision",
        "recall",
        "F1",
    ]


def handbook_card_precision(frame, k):
    """Card precision top-k as the handbook writes it (shared functions, chapter 4)."""
    found, precisions = [], []
    for day in sorted(frame.day.unique()):
        of_day = frame[frame.day == day][["predictions", "customer", "fraud"]]
        of_day = of_day[of_day.customer.isin(found) == False]  # noqa: E712
        cards = (
            of_day.groupby("customer")
            .max()
            .sort_values(by="predictions", ascending=False)
            .reset_index(drop=False)
        )
        top = cards.head(k)
        detected = list(top[top.fraud == 1].customer)
        precisions.append(len(detected) / k)
        found.extend(detected)
    return np.array(precisions).mean()


@pytest.mark.parametrize("k", [1, 3, 10, 100, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_card_precision_is_that_of_the_handbook(k, seed):
    rows = labelled(seed=seed)
    frame = pd.DataFrame(
        {
            "day": rows.dates,
            "customer": rows.entities,
            "predictions": rows.scores,
            "fraud": rows.labels.astype(int),
        }
    )
    assert metrics([k])[f"card_precision_at_{k}"](rows) == pytest.approx(handbook_card_precision(frame, k))


def test_card_precision_without_entities_takes_each_row_as_one():
    rows = labelled(entities=None)
    alone = replace(rows, entities=np.arange(rows.scores.size))
    assert EVERY["card_precision_at_3"](rows) == EVERY["card_precision_at_3"](alone)


def test_equal_scores_share_the_last_place():
    rows = LabelledRows(
        np.full(4, FIRST), np.arange(4), np.array([True, False, False, False]), np.ones(4), np.zeros(4, bool)
    )
    assert EVERY["card_precision_at_1"](rows) == pytest.approx(0.25)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_are_those_of_scikit_learn(ties, weighted):
    rows = labelled(ties=ties, weighted=weighted)
    weight = {"sample_weight": rows.weights}
    expected = {
        "auc_roc": roc_auc_score(rows.labels, rows.scores, **weight),
        "average_precision": average_precision_score(rows.labels, rows.scores, **weight),
        "precision": precision_score(rows.labels, rows.flagged, **weight),
        "recall": recall_score(rows.labels, rows.flagged, **weight),
        "f1": f1_score(rows.labels, rows.flagged, **weight),
    }
    assert {name: EVERY[name](rows) for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_confusion_counts_every_row_once(weighted):
    rows = labelled(weighted=weighted)
    counts = confusion(rows)
    assert counts.tp + counts.fp + counts.fn + counts.tn == pytest.approx(rows.weight.sum())
    assert counts.tp == pytest.approx(rows.weight[rows.flagged & rows.labels].sum())
    assert counts.fn == pytest.approx(rows.weight[~rows.flagged & rows.labels].sum())


@st.composite
def any_rows(draw):
    rows = draw(st.integers(1, 40))

    def column(values):
        return np.array(draw(st.lists(values, min_size=rows, max_size=rows)))

    return LabelledRows(
        dates=FIRST + column(st.integers(0, 3)),
        entities=column(st.integers(0, 8)),
        labels=column(st.booleans()),
        scores=column(st.integers(-6, 6)).astype(float),  # few values, so many ties
        flagged=column(st.booleans()),
        weights=draw(st.none() | st.just(column(st.integers(1, 5)).astype(float))),
    )


@given(any_rows())
def test_metrics_are_shares_or_not_defined(rows):
    values = [metric(rows) for metric in EVERY.values()]
    assert all(np.isnan(value) or -1e-9 <= value <= 1 + 1e-9 for value in values)


@given(any_rows(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_metric(rows, random):
    order = random.sample(range(rows.scores.size), rows.scores.size)
    columns = {name: None if value is None else value[order] for name, value in vars(rows).items()}
    shuffled = replace(rows, **columns)
    assert [metric(shuffled) for metric in EVERY.values()] == pytest.approx(
        [metric(rows) for metric in EVERY.values()], nan_ok=True
    )


@given(any_rows())
def test_a_monotone_change_of_the_scores_changes_no_metric(rows):
    changed = replace(rows, scores=np.exp(rows.scores / 3) - 5)
    assert [metric(changed) for metric in EVERY.values()] == pytest.approx(
        [metric(rows) for metric in EVERY.values()], nan_ok=True
    )


@given(any_rows())
def test_a_weight_equals_copies_of_the_row(rows):
    copies = np.repeat(np.arange(rows.scores.size), rows.weight.astype(int))
    columns = {name: None if value is None else value[copies] for name, value in vars(rows).items()}
    copied = replace(rows, **columns | {"weights": None})
    for name in ("auc_roc", "average_precision", "precision", "recall", "f1"):
        assert EVERY[name](copied) == pytest.approx(EVERY[name](rows), nan_ok=True)


@pytest.mark.parametrize("name", EVERY)
def test_without_frauds_only_precision_is_defined(name):
    rows = labelled(fraud_share=0.0)
    value = EVERY[name](rows)
    assert value == 0.0 if name == "precision" else np.isnan(value)
    assert measure(rows, {name: EVERY[name]}, replicates=3)[name].value == (
        0.0 if name == "precision" else None
    )


def test_precision_needs_a_flag():
    rows = labelled()
    nothing = replace(rows, flagged=np.zeros_like(rows.flagged))
    assert np.isnan(EVERY["precision"](nothing))
    assert EVERY["recall"](nothing) == 0.0


def test_only_frauds_have_no_area_and_no_curve():
    rows = labelled(fraud_share=1.1)
    assert np.isnan(EVERY["auc_roc"](rows))
    assert curves(rows) is None


def test_the_interval_holds_the_value_and_repeats_with_its_seed():
    rows = labelled()
    first, again, other = (measure(rows, EVERY, replicates=60, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert all(
        figure.low < figure.value < figure.high
        for name, figure in first.items()
        if not name.startswith("card_precision")
    )


def test_the_interval_is_wider_where_entities_have_several_rows():
    """Ten copies of a row hold no more information than one, unless they are taken for independent rows."""
    rows = labelled(rows=400, entities=None)
    columns = {name: None if value is None else np.tile(value, 10) for name, value in vars(rows).items()}
    by_row = measure(replace(rows, **columns), {"auc_roc": EVERY["auc_roc"]})["auc_roc"]
    by_entity = measure(
        replace(rows, **columns | {"entities": np.tile(np.arange(400), 10)}), {"auc_roc": EVERY["auc_roc"]}
    )["auc_roc"]
    alone = measure(rows, {"auc_roc": EVERY["auc_roc"]})["auc_roc"]
    assert by_row.value == pytest.approx(by_entity.value)
    assert by_entity.high - by_entity.low > 2 * (by_row.high - by_row.low)
    assert by_entity.high - by_entity.low == pytest.approx(alone.high - alone.low, rel=0.4)


def test_the_interval_covers_what_resampling_with_scikit_learn_gives():
    rows = labelled(entities=None)
    random = np.random.default_rng(5)
    drawn = [random.integers(0, rows.scores.size, rows.scores.size) for _ in range(300)]
    expected = np.quantile(
        [average_precision_score(rows.labels[each], rows.scores[each]) for each in drawn], [0.025, 0.975]
    )
    found = measure(rows, {"ap": EVERY["average_precision"]}, replicates=300)["ap"]
    assert (found.low, found.high) == pytest.approx(expected, abs=0.03)


def test_no_replicates_no_interval():
    figure = measure(labelled(), {"auc_roc": EVERY["auc_roc"]}, replicates=0)["auc_roc"]
    assert figure.value is not None
    assert figure.low is figure.high is None


@pytest.mark.parametrize("ties", [False, True])
def test_thinned_curves_keep_their_ends_and_their_area(ties):
    rows = labelled(rows=20_000, ties=ties)
    found = curves(rows)
    assert max(len(found.roc.x), len(found.precision_recall.x)) <= 300
    assert (found.roc.x[0], found.roc.y[0], found.roc.x[-1], found.roc.y[-1]) == (0, 0, 1, 1)
    assert (found.precision_recall.x[0], found.precision_recall.x[-1]) == (0, 1)
    assert np.trapezoid(found.roc.y, found.roc.x) == pytest.approx(EVERY["auc_roc"](rows), abs=0.002)
    assert np.trapezoid(found.precision_recall.y, found.precision_recall.x) == pytest.approx(
        EVERY["average_precision"](rows), abs=0.01
    )


def test_no_point_that_is_left_out_is_far_from_one_that_is_kept():
    rows = labelled(rows=20_000)
    x, y, _ = roc_curve(rows.labels, rows.scores, drop_intermediate=False)
    kept = _thinned(x, y, 300)
    nearest = np.hypot(x[:, None] - np.array(kept.x), y[:, None] - np.array(kept.y)).min(axis=1)
    assert nearest.max() <= 2 / 299 + 1e-3


@pytest.mark.parametrize("weighted", [False, True])
def test_the_distribution_holds_every_row(weighted):
    rows = labelled(weighted=weighted)
    found = distribution(rows.scores, rows.labels, rows.weights)
    assert found.log
    assert sum(found.frauds) == pytest.approx(rows.weight[rows.labels].sum())
    assert sum(found.normals) == pytest.approx(rows.weight[~rows.labels].sum())
    assert found.edges[0] == pytest.approx(rows.scores.min())
    assert np.diff(np.log10(found.edges)) == pytest.approx(np.log10(found.edges[1] / found.edges[0]))


@pytest.mark.parametrize(
    ("scores", "log"),
    [
        ([0.0, 1.0, 10.0], True),
        ([-3.0, 1.0, 4.0], False),
        ([0.0, 0.0], False),
        ([2.0, 2.0], True),
        ([], False),
    ],
)
def test_the_distribution_takes_any_scores(scores, log):
    found = distribution(np.array(scores), None)
    assert found.log == log
    assert found.frauds is None
    assert sum(found.normals) == len(scores)


def test_labelled_rows_refuse_columns_of_other_lengths_and_infinite_scores():
    rows = labelled()
    with pytest.raises(ValueError, match="2000 rows"):
        replace(rows, labels=rows.labels[1:])
    with pytest.raises(ValueError, match="finite"):
        replace(rows, scores=np.full_like(rows.scores, np.nan))
