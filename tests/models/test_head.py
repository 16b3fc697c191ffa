"""A head on known frauds: learnt where it ranks better, saved with the detector, left out with the reason.

The laws of every score are in test_detector.py.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from detectors import FRAUDS as FRAUDS_OF_NETWORKS
from detectors import NASTY, NORMAL, payments, tabular
from heads import DAYS, head_training, hidden_frauds, learn, with_head
from sklearn.metrics import average_precision_score

from models.checks.gates import check
from models.detector.artifacts import load, save
from models.detector.detector import Detector
from models.detector.learn_head import learn_head
from models.encoding.samples import Samples
from models.errors import HeadUnavailable, TrainingError
from models.flagging.flags import NightScores
from models.flagging.thresholds import best_f1
from models.head.library import load_library

pytestmark = pytest.mark.slow

FRESH = payments(3_000, seed=6)
FRAUDS = hidden_frauds(FRESH)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return with_head()


def test_a_head_finds_the_known_pattern_and_the_networks_the_unknown_one(detector: Detector) -> None:
    score, alone = (
        detector.score(FRESH).score,
        detector.autoencoder.scores([detector.encoder.encode(FRESH)])[1],
    )
    assert average_precision_score(FRAUDS, score) > 0.9 > 0.3 > average_precision_score(FRAUDS, alone)
    by_networks = detector.score(FRESH.with_columns(b=pl.col("b") + 9)).alone
    assert np.median(detector.calibration_alone.p_values(by_networks)) < 0.01
    far = detector.score(FRESH.with_columns(b=pl.col("b") + 14))  # more than one training range outside
    assert np.median(detector.p_values(far.score)) < 0.02
    report = detector.head_report
    assert report is not None
    assert report.used
    assert "difference +" in report.why


def test_p_values_of_new_normal_rows_are_uniform(detector: Detector) -> None:
    normal = FRESH.filter(~pl.Series(FRAUDS))
    p_values = detector.p_values(detector.score(normal).score)
    for level in (0.01, 0.05, 0.2):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=4 * np.sqrt(level / 200))


def test_reasons_are_those_of_the_head_and_of_the_networks(detector: Detector) -> None:
    known = FRESH.filter(pl.Series(FRAUDS))
    first_two = detector.reasons(known, top=2).list.eval(pl.element().struct.field("feature"))
    assert np.mean([{*row} == {"noise", NASTY} for row in first_two.to_list()]) > 0.8
    strange = FRESH[:200].with_columns(b=pl.col("b") + 9)
    assert (detector.reasons(strange).list.first().struct.field("feature") == "b").mean() > 0.9
    explained = detector.explain(FRESH)
    assert ((explained.shares == 0) == (explained.contributions <= 0)).all()
    assert (explained.contributions < 0).any()


def test_a_reloaded_head_scores_as_it_did_and_a_training_again_gives_the_same_one(
    detector: Detector, tmp_path: Path
) -> None:
    again = load(tmp_path / "v1", save(detector, tmp_path / "v1"))
    assert (again.score(FRESH).score == detector.score(FRESH).score).all()
    assert again.reasons(FRESH[:50]).equals(detector.reasons(FRESH[:50]))
    assert again.head_report == detector.head_report
    assert (learn().score(FRESH).score == detector.score(FRESH).score).all()


def test_thresholds_from_labels_see_frauds_that_the_head_had_not_seen(detector: Detector) -> None:
    """Their scores are those of a head that was learnt from earlier dates."""
    report, calibration = detector.head_report, detector.calibration
    assert report is not None
    assert 0 < len(calibration.anomalies) < report.frauds
    night = NightScores(detector.score(FRESH).score, np.ones(len(FRESH)))
    flagged = best_f1(night, calibration, 0.0).flagged
    assert np.mean(FRAUDS[flagged]) > 0.7
    assert np.mean(flagged[FRAUDS]) > 0.7
    assert all(gate.passed is not False for gate in check(detector) if not gate.advisory)


def test_a_head_that_ranks_no_better_is_left_out(tmp_path: Path) -> None:
    """It learns from labels drawn by chance, and is tested on rows that the networks find strange."""
    chance = np.random.default_rng(0).random(6_000) < 0.05
    b = payments(6_000, seed=4)["b"].abs().to_numpy()
    tested = np.arange(6_000) % DAYS >= DAYS - 7
    detector = learn(np.where(tested, b > np.quantile(b, 0.97), chance))
    report = detector.head_report
    assert report is not None
    assert not report.used
    assert "difference -" in report.why
    plain = replace(detector, head_report=None)
    assert (plain.score(FRESH).score == detector.score(FRESH).score).all()
    again = load(tmp_path / "v1", save(detector, tmp_path / "v1"))
    assert (again.blend, again.head_report) == (None, report)


def test_a_head_on_labels_drawn_by_chance_is_left_out_whatever_its_point_estimate() -> None:
    """Half of these heads look better than the networks, by chance."""
    frame, base = payments(4_000, seed=4), tabular()
    encoded = base.encoder.encode(NORMAL)
    rows = Samples(encoded[:1_000], encoded[1_500:], base.encoder.encode(FRAUDS_OF_NETWORKS))
    reports = []
    for seed in range(8):
        chance = np.random.default_rng(seed).random(len(frame)) < 0.05
        learnt = learn_head(base, head_training(frame, chance), encoded[1_000:1_500], rows)
        reports.append(learnt.head_report)
    assert sum(report.used for report in reports if report) <= 1
    assert sum("difference +" in report.why for report in reports if report) >= 2


def test_too_few_frauds_are_no_head_for_auto_and_an_error_for_boosted() -> None:
    none = np.zeros(6_000, bool)
    report = learn(none).head_report
    assert report is not None
    assert report.why == "0 known frauds and 6,000 normal rows are too few: at least 50 frauds are needed."
    with pytest.raises(
        TrainingError, match=r"0 known frauds and 6,000 normal rows are too few to learn a head"
    ):
        learn(none, kind="boosted")
    few = none.copy()
    few[[3, 500, 4_000]] = True
    boosted = learn(few, kind="boosted")
    assert boosted.head_report is not None
    assert "cannot be measured" in boosted.head_report.why
    assert boosted.blend is not None
    assert len(boosted.calibration.anomalies) == 0


def test_without_the_library_auto_is_off_and_boosted_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(HeadUnavailable, match=r"LightGBM cannot be loaded .*libgomp1.*head\.kind"):
        load_library()
    report = learn().head_report
    assert report is not None
    assert not report.used
    assert "libgomp1" in report.why
    assert "head.kind auto is off: LightGBM cannot be loaded" in caplog.text
    with pytest.raises(HeadUnavailable):
        learn(kind="boosted")
