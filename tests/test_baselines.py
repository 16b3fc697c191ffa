import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from models.baselines import BASELINES
from models.detector import Detector, train
from models.settings import ModelSettings, TrainingSettings

pytestmark = pytest.mark.slow


def rows(count: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(random.normal(shift, 1, size=(count, 4)), schema=["a", "b", "c", "d"]).with_columns(
        kind=pl.Series(random.choice(["x", "y"], count))
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    model, training = ModelSettings(hidden=(8, 3, 8)), TrainingSettings(epochs=2)
    return train(rows(2_000, seed=1), ["a", "b", "c", "d"], ["kind"], model, training)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_scores_every_row_the_same_each_time(name: str, detector: Detector) -> None:
    frame = rows(300, seed=2).with_columns(a=pl.when(pl.col("a") > 2).then(None).otherwise("a"))
    scores = BASELINES[name](detector)(frame)
    assert scores.shape == (300,)
    assert np.isfinite(scores).all()
    assert np.ptp(scores) > 0
    assert (BASELINES[name](detector)(frame) == scores).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_ranks_far_rows_above_normal_ones(name: str, detector: Detector) -> None:
    scores = BASELINES[name](detector)(pl.concat([rows(300, seed=2), rows(300, seed=3, shift=4.0)]))
    assert roc_auc_score(np.repeat([0, 1], 300), scores) > 0.9


def test_no_model_is_the_sum_of_squared_z_scores(detector: Detector) -> None:
    frame = rows(50, seed=4)
    z = [(frame[f.name].to_numpy() - f.center) / f.scale for f in detector.encoder.numeric]
    np.testing.assert_allclose(BASELINES["no_model"](detector)(frame), np.square(z).sum(axis=0), rtol=1e-4)
