from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.checks.gates import Gate, check, withholding_reason
from models.detector.detector import Detector, train
from models.settings import ModelSettings, TrainingSettings

pytestmark = pytest.mark.slow

COLUMNS = ["a", "b", "c", "d"]


def correlated(count: int, seed: int) -> pl.DataFrame:
    """Rows in which a and b, and c and d, are nearly equal."""
    random = np.random.default_rng(seed)
    hidden = np.repeat(random.normal(size=(count, 2)), 2, axis=1)
    return pl.DataFrame(hidden + 0.1 * random.normal(size=(count, 4)), schema=COLUMNS)


def independent(count: int, seed: int) -> pl.DataFrame:
    """Rows as in `correlated`, but a and b are independent."""
    return correlated(count, seed).with_columns(a=correlated(count, seed + 1)["a"])


@pytest.fixture(scope="module")
def detector() -> Detector:
    model, training = (
        ModelSettings(hidden=(16, 2, 16), members=2, score="error"),
        TrainingSettings(epochs=8, batch_size=64, learning_rate=3e-3),
    )
    return train(correlated(3_000, 1), COLUMNS, [], model, training, anomalies=independent(40, 2))


def gate(detector: Detector, name: str) -> Gate:
    return next(gate for gate in check(detector) if gate.name == name)


def test_a_sound_training_passes_every_gate(detector: Detector) -> None:
    assert {gate.name: gate.passed for gate in check(detector)} == {
        "loss": True,
        "score diversity": True,
        "contamination": None,
        "usefulness": True,
    }


def test_the_loss_must_fall_in_every_network(detector: Detector) -> None:
    history = tuple(
        replace(epoch, validation_loss=1.0 + epoch.epoch) if epoch.member == 1 else epoch
        for epoch in detector.history
    )
    assert gate(replace(detector, history=history), "loss").passed is False
    infinite = replace(detector.history[-1], validation_loss=float("nan"))
    assert gate(replace(detector, history=(*detector.history[:-1], infinite)), "loss").passed is False


@pytest.mark.parametrize(("alike", "passed"), [(149, True), (151, False)])
def test_at_most_half_of_the_rows_may_share_a_score(detector: Detector, alike: int, passed: bool) -> None:
    held_out = detector.calibration.held_out.copy()
    held_out[:alike] = held_out[0]
    found = gate(
        replace(detector, calibration=replace(detector.calibration, held_out=held_out)), "score diversity"
    )
    assert found.passed is passed
    assert f"{300 - alike + 1} distinct scores among 300 held-out rows" in found.finding


def test_extreme_training_rows_are_counted(detector: Detector) -> None:
    def extreme(scores: np.ndarray) -> int:
        changed = replace(detector, calibration=replace(detector.calibration, training=scores))
        return int(gate(changed, "contamination").finding.split()[0])

    scores = np.linspace(1, 2, 1_000, dtype=np.float32)
    assert extreme(scores) == 0
    scores[:25] = 1e6
    assert extreme(scores) == 25


def test_a_detector_worse_than_no_model_fails_usefulness(detector: Detector) -> None:
    """Rows far out along the correlation score high by no model only: the networks reconstruct them."""
    far = detector.encoder.encode(correlated(40, 3).select(pl.all() * 3))
    found = gate(replace(detector, samples=replace(detector.samples, anomalies=far)), "usefulness")
    assert found.passed is False
    assert "300 held-out normal rows and 40 known frauds: the detector 0." in found.finding
    assert ", the nearest neighbours " in found.finding


def test_without_known_frauds_usefulness_is_not_checked(detector: Detector) -> None:
    few = replace(detector.samples, anomalies=detector.samples.anomalies[:9])
    found = gate(replace(detector, samples=few), "usefulness")
    assert found.passed is None
    assert "9 known frauds" in found.finding


def test_a_failed_advisory_gate_withholds_a_version_only_where_gates_are_strict(
    detector: Detector,
) -> None:
    far = detector.encoder.encode(correlated(40, 3).select(pl.all() * 3))
    useless = check(replace(detector, samples=replace(detector.samples, anomalies=far)))
    assert withholding_reason(useless, strict=False) is None
    assert str(withholding_reason(useless, strict=True)).startswith("usefulness failed. Average precision")
    held_out = np.full_like(detector.calibration.held_out, 1.0)
    alike = check(replace(detector, calibration=replace(detector.calibration, held_out=held_out)))
    assert str(withholding_reason(alike, strict=False)).startswith(
        "score diversity failed. 1 distinct scores"
    )
    assert withholding_reason(check(detector), strict=True) is None
