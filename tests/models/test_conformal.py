"""The statistical laws behind p-values and `fdr`: new normal rows score like the calibration rows, and false
alarms keep their level.
"""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from models.detector.calibration import Calibration
from models.detector.detector import Detector, train
from models.flagging.flags import NightScores
from models.flagging.thresholds import THRESHOLDS
from models.settings import ModelSettings, TrainingSettings

Floats = np.ndarray
NONE = np.zeros(0, dtype=np.float32)

DRAWS, CALIBRATION_ROWS, NORMAL, ANOMALIES = 400, 2_000, 450, 50


def false_discoveries(level: float, calibrate_on: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    """Returns, per draw, the share of normal rows among the flagged ones (0 where none is) and the share of
    anomalies found.

    Every draw has new calibration rows, normal rows and anomalies. calibrate_on: changes the calibration
    scores.
    """
    random = np.random.default_rng(11)
    shares, found = np.zeros(DRAWS), np.zeros(DRAWS)
    for draw in range(DRAWS):
        held_out = np.sort(calibrate_on(random.gamma(2.0, size=CALIBRATION_ROWS)))
        scores = np.concatenate([random.gamma(2.0, size=NORMAL), random.gamma(2.0, size=ANOMALIES) + 8])
        calibration = Calibration(
            NONE, NONE, held_out, training=NONE, anomalies=NONE, normals=CALIBRATION_ROWS
        )
        flagged = THRESHOLDS["fdr"](
            NightScores(scores, calibration.p_values(scores)), calibration, level
        ).flagged
        shares[draw], found[draw] = flagged[:NORMAL].sum() / max(1, flagged.sum()), flagged[NORMAL:].mean()
    return shares, found


def standard_error(shares: Floats) -> float:
    """Returns the standard error of the mean over independent draws."""
    return float(shares.std(ddof=1) / np.sqrt(len(shares)))


@pytest.mark.parametrize("level", [0.05, 0.1, 0.2, 0.4])
def test_fdr_keeps_the_false_discovery_rate(level: float) -> None:
    shares, found = false_discoveries(level, lambda scores: scores)
    assert shares.mean() <= level + standard_error(shares)
    assert found.mean() > 0.5


@pytest.mark.parametrize("level", [0.05, 0.1, 0.2, 0.4])
def test_calibration_rows_that_score_too_low_would_break_the_level(level: float) -> None:
    """As scores of training rows would: the law above can fail."""
    shares, _ = false_discoveries(level, lambda scores: 0.8 * scores)
    assert shares.mean() > level + 3 * standard_error(shares)


NUMERIC, CATEGORICAL = [f"x{k}" for k in range(6)] + ["amount"], ["channel"]


def normal_rows(rows: int, seed: int) -> pl.DataFrame:
    """Six correlated features, a heavy-tailed one with missing values, and a category."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(rows, 2))
    values = hidden @ np.random.default_rng(0).normal(size=(2, 6)) + 0.2 * random.normal(size=(rows, 6))
    return pl.DataFrame(values, schema=NUMERIC[:6]).with_columns(
        amount=pl.Series(np.where(random.random(rows) < 0.1, np.nan, np.exp(2 * hidden[:, 0] + 3))),
        channel=pl.Series(np.where(hidden[:, 0] + 0.3 * random.normal(size=rows) > 0, "web", "shop")),
    )


FRESH = normal_rows(4_000, seed=2)


@pytest.fixture(scope="module", params=["error", "whitened"])
def detector(request: pytest.FixtureRequest) -> Detector:
    model = ModelSettings(hidden=(32, 3, 32), score=request.param)
    return train(
        normal_rows(10_000, seed=1),
        NUMERIC,
        CATEGORICAL,
        model,
        TrainingSettings(epochs=4, batch_size=128, seed=7),
    )


@pytest.mark.slow
def test_fresh_normal_rows_score_like_the_calibration_rows(detector: Detector) -> None:
    """Two-sample Kolmogorov-Smirnov test, 4,000 against 1,000 scores, at the level 0.01."""
    assert ks_2samp(detector.score(FRESH).score, detector.calibration.held_out).pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.3, -0.3])
def test_slightly_shifted_rows_do_not_score_like_the_calibration_rows(
    detector: Detector, shift: float
) -> None:
    """A third of a source unit in one of eight features, about a fifth of its standard deviation: the test
    above can fail.
    """
    shifted = FRESH.with_columns(pl.col("x0") + shift)
    assert ks_2samp(detector.score(shifted).score, detector.calibration.held_out).pvalue < 0.001
