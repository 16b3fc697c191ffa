from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from models.checks.baselines import BASELINES, MOST_AXES, TITLES
from models.detector.detector import Detector, train
from models.detector.fit_score import fit_score
from models.networks import architectures
from models.networks.architectures import ARCHITECTURES
from models.settings import ModelSettings, TrainingSettings

pytestmark = pytest.mark.slow

NARROW, WIDE = 4, MOST_AXES + 100
MODEL, TRAINING = ModelSettings(hidden=(8, 3, 8), score="whitened"), TrainingSettings(epochs=2)


def rows(count: int, seed: int, noise: float = 1.0, width: int = NARROW) -> pl.DataFrame:
    """Features with one common cause, plus noise."""
    random = np.random.default_rng(seed)
    values = noise * random.normal(size=(count, width)) + random.normal(size=(count, 1))
    return pl.DataFrame(values, schema=[f"x{k}" for k in range(width)]).with_columns(
        kind=pl.Series(random.choice(["x", "y"], count))
    )


def trained(frame: pl.DataFrame) -> Detector:
    return train(frame, [name for name in frame.columns if name != "kind"], ["kind"], MODEL, TRAINING)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return trained(rows(2_000, seed=1))


@pytest.fixture(scope="module")
def wide() -> Detector:
    """Trained on rows with more columns than rows, and than components that are computed."""
    return trained(rows(250, seed=1, width=WIDE))


def scorer(name: str, detector: Detector) -> Callable[[pl.DataFrame], np.ndarray]:
    """The baseline as a function of source rows."""
    score = BASELINES[name](detector)
    return lambda frame: score(detector.encoder.encode(frame))


def test_every_baseline_has_a_title() -> None:
    assert set(TITLES) == set(BASELINES)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_scores_every_row_the_same_each_time(name: str, detector: Detector) -> None:
    frame = rows(300, seed=2).with_columns(x0=pl.when(pl.col("x0") > 2).then(None).otherwise("x0"))
    fitted, again = scorer(name, detector), scorer(name, detector)
    scores = fitted(frame)
    assert scores.shape == (300,)
    assert np.ptp(scores) > 0
    assert (again(frame) == scores).all()
    np.testing.assert_allclose(fitted(frame.reverse())[::-1], scores, rtol=1e-6)
    assert fitted(frame.clear()).shape == (0,)


@pytest.mark.parametrize("name", BASELINES)
def test_scores_are_finite_for_any_rows(name: str, detector: Detector) -> None:
    strange = rows(6, seed=3).with_columns(
        x0=pl.Series([None, float("nan"), float("inf"), -1e300, 1e9, 0.0]),
        x1=pl.lit(float("-inf")),
        kind=pl.Series([None, "never seen", "x", "", "y", "x"]),
    )
    assert np.isfinite(scorer(name, detector)(strange)).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_ranks_far_rows_above_normal_ones(name: str, detector: Detector) -> None:
    scores = scorer(name, detector)(pl.concat([rows(300, seed=2), rows(300, seed=3, noise=6.0)]))
    assert roc_auc_score(np.repeat([0, 1], 300), scores) > 0.9


@pytest.mark.parametrize("name", BASELINES)
def test_there_may_be_more_columns_than_rows(name: str, wide: Detector) -> None:
    scores = scorer(name, wide)(
        pl.concat([rows(100, seed=2, width=WIDE), rows(100, seed=3, noise=2.0, width=WIDE)])
    )
    assert np.isfinite(scores).all()
    assert roc_auc_score(np.repeat([0, 1], 100), scores) > 0.9


def test_no_model_is_the_sum_of_squared_z_scores(detector: Detector) -> None:
    frame = rows(50, seed=4)
    z = [(frame[f.name].to_numpy() - f.center) / f.scale for f in detector.encoder.numeric]
    np.testing.assert_allclose(scorer("no_model", detector)(frame), np.square(z).sum(axis=0), rtol=1e-4)


def one_hot(encoded: np.ndarray) -> np.ndarray:
    """Four values, and a column for each of the codes of `kind`: x, y, rare or unseen."""
    return np.hstack([encoded[:, :4], np.eye(3)[encoded[:, 4].astype(int)]])


def test_mahalanobis_is_the_distance_by_the_covariance_of_ledoit_and_wolf(detector: Detector) -> None:
    frame = rows(50, seed=4)
    gaussian = LedoitWolf().fit(one_hot(detector.samples.training))
    expected = gaussian.mahalanobis(one_hot(detector.encoder.encode(frame)))
    np.testing.assert_allclose(scorer("mahalanobis", detector)(frame), expected, rtol=1e-6)


def test_neighbours_is_the_mean_distance_from_the_ten_nearest_training_rows(detector: Detector) -> None:
    frame = rows(50, seed=4)
    nearest = NearestNeighbors(n_neighbors=10).fit(one_hot(detector.samples.training))
    expected = nearest.kneighbors(one_hot(detector.encoder.encode(frame)))[0].mean(axis=1)
    np.testing.assert_allclose(scorer("neighbours", detector)(frame), expected, rtol=1e-4)


def test_the_residual_of_principal_components_ignores_changes_along_them(detector: Detector) -> None:
    score, frame = scorer("pca_residual", detector), rows(200, seed=4)
    along = frame.with_columns(pl.exclude("kind") + 5)  # all features grow together
    across = frame.with_columns(pl.col("x0") + 5, pl.col("x1") - 5)
    usual, moved_along, moved_across = (np.median(score(each)) for each in (frame, along, across))
    assert moved_along < 1.5 * usual
    assert moved_across > 5 * usual


def test_copies_of_a_training_row_do_not_make_every_other_row_an_outlier(detector: Detector) -> None:
    copies = np.repeat(detector.samples.training[:1], 1_000, axis=0)
    sample = replace(detector.samples, training=np.concatenate([detector.samples.training, copies]))
    scores = scorer("local_outlier_factor", replace(detector, samples=sample))(rows(500, seed=6))
    assert scores.max() < 100  # about 1 where the density is that of the neighbours


def test_the_untrained_network_differs_from_the_trained_one_only_in_its_weights(detector: Detector) -> None:
    frame, layout = rows(200, seed=7), detector.encoder.layout
    network = ARCHITECTURES["dense"](layout, MODEL, detector.training.seed)
    sample = detector.samples.training
    normality = fit_score((network,), layout, ("whitened",), 1, sample, sample, seed=0)
    alone = replace(
        detector, networks=(network,), calibration=replace(detector.calibration, **vars(normality))
    )
    assert (scorer("untrained_network", detector)(frame) == alone.score(frame).score).all()
    assert (scorer("untrained_network", detector)(frame) != detector.score(frame).score).any()


def test_the_untrained_network_is_built_once(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scorer("untrained_network", detector)(rows(200, seed=7))
    monkeypatch.setattr(architectures, "build", None)
    assert (scorer("untrained_network", detector)(rows(200, seed=7)) == first).all()
