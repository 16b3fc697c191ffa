import logging
from typing import get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import Calibration
from models.errors import ThresholdError
from models.settings import ThresholdSettings
from models.thresholds import THRESHOLDS, NightScores

EMPTY = np.zeros((1, 1), dtype=np.float32)
VALUES = {"fixed": 2.0, "train_quantile": 0.9, "batch_quantile": 0.9, "budget": 3, "fdr": 0.1}


def calibration(rows: int = 10_000) -> Calibration:
    scores = np.random.default_rng(1).gamma(2.0, size=rows).astype(np.float32)
    return Calibration(EMPTY, EMPTY[None], held_out=np.sort(scores), training=scores[::2], anomalies=scores[:0], normals=10 * rows)


def night(scores: np.ndarray, entities: list[str | None] | None = None, rows: int = 10_000) -> NightScores:
    return NightScores(scores, calibration(rows).p_values(scores), None if entities is None else pl.Series(entities, dtype=pl.String))


SCORES = np.random.default_rng(2).gamma(2.0, size=500).astype(np.float32)


def test_every_strategy_of_the_settings_is_there() -> None:
    assert set(THRESHOLDS) == set(get_args(ThresholdSettings.model_fields["strategy"].annotation))


@pytest.mark.parametrize("name", THRESHOLDS)
def test_flagged_rows_reach_the_threshold_and_nothing_is_flagged_of_an_empty_night(name: str) -> None:
    verdict = THRESHOLDS[name](night(SCORES), calibration(), VALUES[name])
    assert verdict.flagged.dtype == bool
    assert verdict.flagged.shape == SCORES.shape
    assert np.isfinite(verdict.threshold)
    assert (verdict.flagged == (SCORES.astype(float) >= verdict.threshold)).all()
    empty = THRESHOLDS[name](night(SCORES[:0]), calibration(), VALUES[name])
    assert empty.flagged.shape == (0,)
    assert np.isfinite(empty.threshold)


@pytest.mark.parametrize("name", THRESHOLDS)
@given(order=st.permutations(range(60)))
def test_the_verdict_does_not_depend_on_the_order_of_rows(name: str, order: list[int]) -> None:
    scores = SCORES[:60]
    verdict = THRESHOLDS[name](night(scores), calibration(), VALUES[name])
    reordered = THRESHOLDS[name](night(scores[order]), calibration(), VALUES[name])
    assert (reordered.flagged == verdict.flagged[order]).all()
    assert reordered.threshold == verdict.threshold


def test_fixed_flags_from_the_value() -> None:
    verdict = THRESHOLDS["fixed"](night(np.array([1.0, 2.0, 3.0])), calibration(), 2.0)
    assert verdict.flagged.tolist() == [False, True, True]


def test_train_quantile_is_the_quantile_of_the_training_scores() -> None:
    verdict = THRESHOLDS["train_quantile"](night(SCORES), calibration(), 0.99)
    assert verdict.threshold == pytest.approx(np.quantile(calibration().training.astype(float), 0.99))
    assert (calibration().training >= verdict.threshold).mean() == pytest.approx(0.01, abs=0.001)


def test_batch_quantile_flags_a_share_of_tonight() -> None:
    assert THRESHOLDS["batch_quantile"](night(SCORES), calibration(), 0.9).flagged.sum() == 50


def test_budget_flags_the_highest_row_of_each_of_the_highest_entities() -> None:
    scores = np.array([9.0, 8.0, 7.0, 6.0, 5.0])
    verdict = THRESHOLDS["budget"](night(scores, ["a", "a", "b", None, None]), calibration(), 3)
    assert verdict.flagged.tolist() == [True, False, True, True, False]
    assert verdict.threshold == 6.0
    many = THRESHOLDS["budget"](night(scores, ["a", "a", "b", None, None]), calibration(), 100)
    assert many.flagged.tolist() == [True, False, True, True, True]


def test_fdr_is_the_step_up_procedure() -> None:
    p_values = np.array([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216])  # Benjamini & Hochberg's kind of example
    verdict = THRESHOLDS["fdr"](NightScores(1 - p_values, p_values), calibration(), 0.05)
    assert verdict.flagged.sum() == 2
    assert verdict.threshold == pytest.approx(0.992)


def test_fdr_controls_the_share_of_false_alarms() -> None:
    random = np.random.default_rng(3)
    shares = []
    for _ in range(40):
        scores = np.concatenate([random.gamma(2.0, size=900), random.gamma(2.0, size=100) + 15]).astype(np.float32)
        flagged = THRESHOLDS["fdr"](night(scores, rows=50_000), calibration(), 0.1).flagged
        shares.append(flagged[:900].sum() / max(1, flagged.sum()))
        assert flagged[900:].mean() > 0.9
    assert np.mean(shares) < 0.12


def test_fdr_warns_where_there_are_too_few_calibration_rows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert not THRESHOLDS["fdr"](night(np.full(3, 99.0), rows=50), calibration(50), 0.01).flagged.any()
    assert "with 50 calibration rows" in caplog.text
    caplog.clear()
    assert THRESHOLDS["fdr"](night(np.full(3, 99.0)), calibration(), 0.01).flagged.all()
    assert not caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fixed", float("nan")),
        ("train_quantile", 99),
        ("batch_quantile", -0.1),
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
