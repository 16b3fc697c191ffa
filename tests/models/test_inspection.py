"""The laws of the inspection that a model card shows."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from detectors import FRAUDS, NASTY, NOISY_PIXEL, NORMAL, SHAPE, images, tabular, variational

from models.detector.detector import Detector
from models.device import tf
from models.encoding.samples import Samples
from models.inspection import summary as inspection
from models.inspection.pictures import WORST, png, shades, strong
from models.inspection.summary import inspect
from models.networks.architectures import ARCHITECTURES

pytestmark = pytest.mark.slow
ALL = [tabular, variational, images]


def without_frauds(detector: Detector) -> Detector:
    nothing = np.zeros((0, detector.encoder.layout.width), np.float32)
    samples = Samples(detector.samples.training, detector.samples.held_out, nothing)
    return replace(
        detector, samples=samples, calibration=replace(detector.calibration, anomalies=nothing[:, 0])
    )


def with_latent(detector: Detector, units: int, weight: float) -> Detector:
    """An untrained network with a latent layer of `units`, and every weight multiplied."""
    network = ARCHITECTURES["dense"](
        detector.encoder.layout, detector.settings.model_copy(update={"hidden": (8, units, 8)}), 1
    )
    network.set_weights([weight * values for values in network.get_weights()])
    return replace(detector, networks=(network,))


@pytest.mark.parametrize("make", ALL)
def test_every_row_has_a_finite_position_in_the_latent_space(make: Callable[[], Detector]) -> None:
    detector = make()
    latent, rows = inspect(detector).latent, len(detector.samples.held_out)
    assert latent.position.shape == (len(latent.fraud), 2)
    assert np.isfinite(latent.position).all()
    assert latent.fraud.tolist() == [False] * rows + [True] * len(detector.samples.anomalies)
    assert latent.units == min(detector.settings.hidden)
    assert 1 + 1e-9 > sum(latent.variance) >= latent.variance[0] >= latent.variance[1] >= 0
    assert latent.variance[0] > 0
    np.testing.assert_allclose(latent.position[:rows].mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("make", ALL)
def test_inspecting_again_gives_the_same(make: Callable[[], Detector]) -> None:
    first, second = inspect(make()), inspect(make())
    assert (first.latent.position == second.latent.position).all()
    assert (first.scores, first.features) == (second.scores, second.features)


def test_points_have_the_errors_and_scores_of_their_rows() -> None:
    latent, scores = inspect(tabular()).latent, tabular().score(FRAUDS)
    assert (latent.error[latent.fraud] == scores.error).all()
    assert (latent.score[latent.fraud] == scores.score).all()


def test_only_a_sample_of_many_rows_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = inspect(tabular()).latent
    monkeypatch.setattr(inspection, "MOST_NORMAL", 50)
    monkeypatch.setattr(inspection, "MOST_FRAUDS", 10)
    some = inspect(tabular()).latent
    assert (np.count_nonzero(~some.fraud), np.count_nonzero(some.fraud)) == (50, 10)
    assert set(some.error[some.fraud]) < set(everyone.error[everyone.fraud])
    assert set(some.error[~some.fraud]) < set(everyone.error[~everyone.fraud])


def test_a_latent_layer_of_one_unit_has_no_second_component() -> None:
    latent = inspect(with_latent(tabular(), units=1, weight=1)).latent
    assert not latent.position[:, 1].any()
    assert latent.variance == (1, 0)


def test_a_latent_layer_that_is_constant_is_one_point() -> None:
    latent = inspect(with_latent(tabular(), units=3, weight=0)).latent
    assert not latent.position.any()
    assert latent.variance == (0, 0)


def test_shares_of_features_sum_to_one_and_losses_to_the_error() -> None:
    found = inspect(tabular())
    assert {feature.name for feature in found.features} == {*NORMAL.columns}
    assert sum(feature.normal_share for feature in found.features) == pytest.approx(1)
    assert sum(feature.fraud_share or 0 for feature in found.features) == pytest.approx(1)
    for fraud, losses in (
        (False, [one.normal for one in found.features]),
        (True, [one.fraud for one in found.features]),
    ):
        assert np.mean(losses) == pytest.approx(
            found.latent.error[found.latent.fraud == fraud].mean(), rel=1e-4
        )


def test_the_worst_feature_is_the_unpredictable_one() -> None:
    worst = max(inspect(tabular()).features, key=lambda feature: feature.normal)
    assert worst.name == "noise"
    assert inspect(without_frauds(tabular())).features[0].name == "noise"


def test_the_worst_feature_of_frauds_is_the_one_that_was_changed() -> None:
    features = inspect(tabular()).features
    assert max(features, key=lambda feature: feature.fraud or 0).name == "b"
    shares = [feature.normal_share + (feature.fraud_share or 0) for feature in features]
    assert shares == sorted(shares, reverse=True)


def test_a_category_has_its_own_loss() -> None:
    assert {feature.name: feature.normal for feature in inspect(tabular()).features}[NASTY] > 0


def test_the_distribution_holds_every_held_out_row_and_known_fraud() -> None:
    scores, calibration = inspect(tabular()).scores, tabular().calibration
    assert (sum(scores.normals), sum(scores.frauds or ())) == (len(calibration.held_out), len(FRAUDS))
    assert scores.edges[-1] == pytest.approx(
        max(calibration.held_out.max(), calibration.anomalies.max()), rel=1e-5
    )


def test_without_known_frauds_there_are_no_figures_of_them() -> None:
    found = inspect(without_frauds(tabular()))
    assert found.scores.frauds is None
    assert not found.latent.fraud.any()
    assert {(feature.fraud, feature.fraud_share) for feature in found.features} == {(None, None)}
    assert inspect(without_frauds(images())).pixels.fraud is None


def test_the_worst_pixel_is_the_unpredictable_one() -> None:
    found = inspect(images())
    assert found.features == ()
    assert found.pixels.normal.shape == found.pixels.fraud.shape == SHAPE[:2]
    assert np.unravel_index(found.pixels.normal.argmax(), SHAPE[:2]) == NOISY_PIXEL
    assert found.pixels.normal.mean() == pytest.approx(
        found.latent.error[~found.latent.fraud].mean(), rel=1e-4
    )


def test_the_pictures_are_those_with_the_highest_scores() -> None:
    found, half = inspect(images()), WORST // 2
    assert [picture.fraud for picture in found.pixels.worst] == [False] * half + [True] * half
    for fraud in (False, True):
        highest = np.sort(found.latent.score[found.latent.fraud == fraud])[::-1][:half]
        assert [picture.score for picture in found.pixels.worst if picture.fraud == fraud] == highest.tolist()
    alone = inspect(without_frauds(images())).pixels.worst
    assert [picture.fraud for picture in alone] == [False] * WORST
    assert [picture.score for picture in alone[:half]] == [
        picture.score for picture in found.pixels.worst[:half]
    ]


def test_pictures_show_what_was_observed_and_reconstructed() -> None:
    detector, pictures = images(), inspect(images()).pixels.worst
    observed = np.array([picture.observed for picture in pictures])
    assert (observed.shape, observed.dtype) == ((WORST, *SHAPE), np.uint8)
    assert (observed.min(), observed.max()) == (0, 255)
    numbers = np.argsort(-inspect(detector).latent.score[: len(detector.samples.held_out)], kind="stable")[
        : WORST // 2
    ]
    source = detector.encoder.decode(detector.samples.held_out[numbers]).to_numpy().reshape(-1, *SHAPE)
    for row, picture in zip(source, pictures, strict=False):
        assert (np.diff(picture.observed.ravel()[np.argsort(row, axis=None)].astype(int)) >= 0).all()
        apart = np.square(picture.observed.astype(int) - picture.expected).mean(axis=-1)
        assert np.corrcoef(apart.ravel(), picture.loss.ravel())[0, 1] > 0.9


def test_a_picture_is_unchanged_as_a_png() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    assert (tf.io.decode_png(png(pixels)).numpy() == pixels).all()


def test_shades_run_from_low_to_high() -> None:
    assert shades(np.array([-1.0, 0.0, 1.0, 2.0, 9.0]), 0.0, 2.0).tolist() == [0, 0, 128, 255, 255]
    assert shades(np.array([3.0, 3.0]), 3.0, 3.0).tolist() == [0, 0]
    assert strong(np.append(np.arange(1000.0), 1e9)) < 1000
