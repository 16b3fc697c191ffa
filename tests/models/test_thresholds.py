from dataclasses import replace
from typing import get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.settings import FROM_LABELS
from models.detector.calibration import Calibration
from models.errors import ThresholdError
from models.flagging.flags import NightScores, unusual_flags
from models.flagging.thresholds import THRESHOLDS, decide, fixed_threshold
from models.settings import ThresholdSettings

EMPTY = np.zeros((1, 1), dtype=np.float32)
VALUES = {
    "fixed": 2.0,
    "train_quantile": 0.9,
    "batch_quantile": 0.9,
    "midpoint": 0.99,
    "best_f1": 0.99,
    "cost": 50,
    "budget": 3,
    "fdr": 0.1,
}


def calibration(rows: int = 10_000) -> Calibration:
    random = np.random.default_rng(1)
    scores = random.gamma(2.0, size=rows).astype(np.float32)
    frauds = (2 + random.gamma(3.0, size=50)).astype(np.float32)
    return Calibration(
        EMPTY,
        EMPTY[None],
        held_out=np.sort(scores),
        training=scores[::2],
        anomalies=frauds,
        normals=10 * rows,
    )


def known(held_out: list[float], anomalies: list[float], normals: int) -> Calibration:
    """A calibration in which each held-out row stands for normals / len(held_out) normal rows."""
    return replace(
        calibration(), held_out=np.float32(held_out), anomalies=np.float32(anomalies), normals=normals
    )


def night(scores: np.ndarray, entities: list[str | None] | None = None, rows: int = 10_000) -> NightScores:
    return NightScores(
        scores,
        calibration(rows).p_values(scores),
        None if entities is None else pl.Series(entities, dtype=pl.String),
    )


SCORES = np.random.default_rng(2).gamma(2.0, size=500).astype(np.float32)


def test_every_strategy_of_the_settings_exists() -> None:
    assert set(THRESHOLDS) == set(get_args(ThresholdSettings.model_fields["strategy"].annotation))


@pytest.mark.parametrize("name", THRESHOLDS)
def test_flagged_rows_reach_the_threshold_and_an_empty_night_has_no_flags(name: str) -> None:
    flags = THRESHOLDS[name](night(SCORES), calibration(), VALUES[name])
    assert flags.flagged.dtype == bool
    assert flags.flagged.shape == SCORES.shape
    assert np.isfinite(flags.threshold)
    assert (flags.flagged == (SCORES.astype(float) >= flags.threshold)).all()
    empty = THRESHOLDS[name](night(SCORES[:0]), calibration(), VALUES[name])
    assert empty.flagged.shape == (0,)
    assert np.isfinite(empty.threshold)


@pytest.mark.parametrize("name", THRESHOLDS)
@given(order=st.permutations(range(60)))
def test_flags_do_not_depend_on_the_order_of_rows(name: str, order: list[int]) -> None:
    scores = SCORES[:60]
    flags = THRESHOLDS[name](night(scores), calibration(), VALUES[name])
    reordered = THRESHOLDS[name](night(scores[order]), calibration(), VALUES[name])
    assert (reordered.flagged == flags.flagged[order]).all()
    assert reordered.threshold == flags.threshold


def test_fixed_flags_from_the_value() -> None:
    flags = THRESHOLDS["fixed"](night(np.array([1.0, 2.0, 3.0])), calibration(), 2.0)
    assert flags.flagged.tolist() == [False, True, True]


def test_train_quantile_is_the_quantile_of_the_training_scores() -> None:
    flags = THRESHOLDS["train_quantile"](night(SCORES), calibration(), 0.99)
    assert flags.threshold == pytest.approx(np.quantile(calibration().training.astype(float), 0.99))
    assert (calibration().training >= flags.threshold).mean() == pytest.approx(0.01, abs=0.001)


def test_batch_quantile_flags_a_share_of_tonight() -> None:
    assert THRESHOLDS["batch_quantile"](night(SCORES), calibration(), 0.9).flagged.sum() == 50


def test_budget_flags_the_highest_row_of_each_of_the_highest_entities() -> None:
    scores = np.array([9.0, 8.0, 7.0, 6.0, 5.0])
    flags = THRESHOLDS["budget"](night(scores, ["a", "a", "b", None, None]), calibration(), 3)
    assert flags.flagged.tolist() == [True, False, True, True, False]
    assert flags.threshold == 6.0
    many = THRESHOLDS["budget"](night(scores, ["a", "a", "b", None, None]), calibration(), 100)
    assert many.flagged.tolist() == [True, False, True, True, True]


def test_fdr_is_the_step_up_procedure() -> None:
    p_values = np.array(
        [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    )  # Benjamini & Hochberg's kind of example
    flags = THRESHOLDS["fdr"](NightScores(1 - p_values, p_values), calibration(), 0.05)
    assert flags.flagged.sum() == 2
    assert flags.threshold == pytest.approx(0.992)


@given(
    ranks=st.lists(st.integers(0, 200), max_size=60),
    level=st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.3]) | st.floats(0.001, 0.999),
)
def test_fdr_flags_what_the_definition_of_benjamini_and_hochberg_rejects(
    ranks: list[int], level: float
) -> None:
    p_values = np.array(ranks, dtype=np.float64) / 200
    flagged = THRESHOLDS["fdr"](NightScores(1 - p_values, p_values), calibration(199), level).flagged
    rows, rejected = len(ranks), 0
    for k, p_value in enumerate(sorted(p_values), start=1):
        if p_value <= level * k / rows:
            rejected = k
    bound = sorted(p_values)[rejected - 1] if rejected else -1.0
    assert flagged.tolist() == [bool(p_value <= bound) for p_value in p_values]


def test_midpoint_is_midway_between_the_two_means() -> None:
    flags = THRESHOLDS["midpoint"](
        night(np.array([3.4, 3.5, 9.0])), known([0.5, 1.0, 1.5], [4.0, 8.0], normals=300), 0.99
    )
    assert flags.threshold == (1.0 + 6.0) / 2
    assert flags.flagged.tolist() == [False, True, True]


def test_midpoint_is_refused_where_frauds_do_not_score_higher() -> None:
    with pytest.raises(ThresholdError, match=r"frauds \(2\) is not above that of normal rows \(2\)"):
        THRESHOLDS["midpoint"](night(SCORES), known([1.0, 3.0], [2.0], normals=2), 0.99)


@pytest.mark.parametrize(
    ("normals", "threshold"),
    [
        # one normal row per score. From 6: 1 of 3 found, F1 2/4; from 4: 3 found and 1 false alarm, F1 6/7
        (4, 4.0),
        (40, 6.0),  # ten rows per score. From 6: 2/4 still; from 4: 10 false alarms, F1 6/16
    ],
)
def test_best_f1_counts_each_held_out_row_for_those_it_represents(normals: int, threshold: float) -> None:
    window = known([1.0, 2.0, 3.0, 5.0], [4.0, 4.0, 6.0], normals)
    assert THRESHOLDS["best_f1"](night(SCORES), window, 0.99).threshold == threshold


@pytest.mark.parametrize(
    ("value", "threshold"),
    [
        (1, 6.0),  # from 6: 2 missed, cost 2; from 4: 10 false alarms
        (5, 6.0),  # both cost 10: of equally cheap cuts the highest
        (6, 4.0),  # from 6: 12; from 4: 10; from 2: 30
    ],
)
def test_cost_weighs_missed_frauds_against_false_alarms(value: float, threshold: float) -> None:
    window = known([1.0, 2.0, 3.0, 5.0], [4.0, 4.0, 6.0], normals=40)
    assert THRESHOLDS["cost"](night(SCORES), window, value).threshold == threshold


def test_cost_flags_only_scores_above_the_window_where_every_cut_costs_more_than_it_saves() -> None:
    flags = THRESHOLDS["cost"](night(np.array([3.0, 9.0, 9.5])), known([1.0, 9.0], [5.0], normals=100), 0.5)
    assert flags.flagged.tolist() == [False, False, True]


LEVELS = st.lists(st.integers(0, 8).map(float), min_size=1, max_size=12)


def confusion_at(cut: float, window: Calibration) -> tuple[float, float, float]:
    """Frauds found, frauds missed, and normal rows flagged, where rows of at least the cut are flagged;
    counted one by one.
    """
    found = sum(float(score) >= cut for score in window.anomalies)
    false_alarms = (
        sum(float(score) >= cut for score in window.held_out) * window.normals / len(window.held_out)
    )
    return found, len(window.anomalies) - found, false_alarms


@given(held_out=LEVELS, anomalies=LEVELS, normals=st.integers(1, 500))
def test_no_cut_has_a_higher_f1_than_best_f1(
    held_out: list[float], anomalies: list[float], normals: int
) -> None:
    window = known(held_out, anomalies, normals)

    def f1(cut: float) -> float:
        found, missed, false_alarms = confusion_at(cut, window)
        return 2 * found / (2 * found + missed + false_alarms)

    chosen = THRESHOLDS["best_f1"](night(SCORES), window, 0.99).threshold
    assert all(f1(chosen) >= f1(cut) - 1e-9 for cut in np.arange(-0.5, 10, 0.5))


@given(held_out=LEVELS, anomalies=LEVELS, normals=st.integers(1, 500), value=st.floats(0.01, 1000))
def test_no_cut_is_cheaper_than_that_of_cost(
    held_out: list[float], anomalies: list[float], normals: int, value: float
) -> None:
    window = known(held_out, anomalies, normals)

    def expected_cost(cut: float) -> float:
        _, missed, false_alarms = confusion_at(cut, window)
        return value * missed + false_alarms

    chosen = THRESHOLDS["cost"](night(SCORES), window, value).threshold
    assert all(expected_cost(chosen) <= expected_cost(cut) * (1 + 1e-9) for cut in np.arange(-0.5, 10, 0.5))


@pytest.mark.parametrize("name", THRESHOLDS)
def test_only_strategies_that_need_labels_refuse_without_known_frauds(name: str) -> None:
    unlabelled = replace(calibration(), anomalies=np.zeros(0, np.float32))
    if name in FROM_LABELS:
        with pytest.raises(ThresholdError, match=f"{name} needs known frauds.*window_days.*train_quantile"):
            THRESHOLDS[name](night(SCORES), unlabelled, VALUES[name])
    else:
        assert THRESHOLDS[name](night(SCORES), unlabelled, VALUES[name]).threshold == (
            THRESHOLDS[name](night(SCORES), calibration(), VALUES[name]).threshold
        )


def settings(strategy: str, value: float | None = None) -> ThresholdSettings:
    return ThresholdSettings.model_validate(
        {"strategy": strategy, "value": VALUES[strategy] if value is None else value}
    )


@pytest.mark.parametrize("name", THRESHOLDS)
def test_flags_of_a_usual_night_cause_no_warning(name: str) -> None:
    usual = night(np.append(SCORES, [20.0, 30.0]).astype(np.float32))
    flags = decide(usual, calibration(), settings(name))
    assert 0 < flags.flagged.sum() < len(usual.scores)
    assert unusual_flags(usual.scores, flags) is None


def test_flagging_every_row_or_none_causes_a_warning_with_the_figures() -> None:
    scores = night(np.array([1.0, 2.5]))
    everything, nothing = (
        unusual_flags(scores.scores, decide(scores, calibration(), settings("fixed", value)))
        for value in (0.5, 3)
    )
    assert everything == (
        "flagged 2 of 2 rows (lowest score 1, highest 2.5, threshold 0.5); check [threshold] and "
        "the features of this date"
    )
    assert nothing is not None
    assert nothing.startswith("flagged 0 of 2 rows (lowest score 1, highest 2.5, threshold 3)")


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_constant_night_causes_a_warning_and_an_empty_one_does_not(name: str) -> None:
    constant, empty = night(np.full(40, 2.5, np.float32)), night(SCORES[:0])
    assert "all rows have the same score" in str(
        unusual_flags(constant.scores, decide(constant, calibration(), settings(name)))
    )
    assert unusual_flags(empty.scores, decide(empty, calibration(), settings(name))) is None


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(name: str, strange: float) -> None:
    scores = SCORES.copy()
    scores[[3, 5]] = strange
    with pytest.raises(ThresholdError, match="2 of 500 scores are not finite"):
        decide(night(scores), calibration(), settings(name))


def test_fdr_warns_of_too_few_calibration_rows() -> None:
    few = night(np.array([98.0, 99.0, 99.0]), rows=50)
    flags = decide(few, calibration(50), settings("fdr", 0.01))
    assert not flags.flagged.any()
    assert "with 50 calibration rows, rows are flagged only where at least 6 score above all of them" in str(
        unusual_flags(few.scores, flags)
    )
    many = night(np.array([1.0, 99.0, 99.0]))
    assert unusual_flags(many.scores, decide(many, calibration(), settings("fdr", 0.01))) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fixed", float("nan")),
        ("train_quantile", 99),
        ("batch_quantile", -0.1),
        ("cost", 0),
        ("cost", float("inf")),
        ("budget", 0.99),
        ("budget", 0),
        ("budget", float("inf")),
        ("fdr", 0),
        ("fdr", 1),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    with pytest.raises(ThresholdError, match=r"threshold\.value"):
        THRESHOLDS[name](night(SCORES), calibration(), value)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_fixed_threshold_is_that_of_every_night(name: str) -> None:
    strategy = ThresholdSettings.model_validate({"strategy": name, "value": VALUES[name]})
    of_nights = {
        decide(night(scores), calibration(), strategy).threshold for scores in (SCORES, SCORES[:100] * 3)
    }
    assert fixed_threshold(calibration(), strategy) == (of_nights.pop() if len(of_nights) == 1 else None)
    assert fixed_threshold(known([1.0, 2.0], [], 10), strategy) is None or name not in FROM_LABELS
