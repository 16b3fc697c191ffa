"""The inspection of a detector for its card: its latent space, what it reconstructs worst, and the
distribution of its scores.

It uses the held-out rows and known frauds stored with the detector, so it needs no other data.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from models.detector.detector import Detector
from models.device import keras, tf
from models.encoding.layout import Layout
from models.evaluation.curves import Distribution, distribution
from models.inspection.pictures import Pixels, worst_pixels
from models.inspection.reconstruction import Reconstruction, reconstruct
from models.networks.dense import LATENT

MOST_NORMAL, MOST_FRAUDS = 1_200, 300  # points of the latent space that are shown


@dataclass(frozen=True)
class Latent:
    """Held-out rows and known frauds in the latent space of the first network.

    units: its number of dimensions.
    position: float64 (rows, 2), along the first two principal components of the held-out rows; 0 along the
    second where there is only one.
    variance: the share of the held-out rows' variance that lies along each of the two.
    error, score: float32 (rows,). fraud: bool (rows,).
    """

    units: int
    position: NDArray[np.float64]
    variance: tuple[float, float]
    error: NDArray[np.float32]
    score: NDArray[np.float32]
    fraud: NDArray[np.bool_]


@dataclass(frozen=True)
class FeatureLoss:
    """The reconstruction loss of a feature.

    normal, fraud: its mean loss over held-out rows and over known frauds, encoded units.
    normal_share, fraud_share: its share of the mean error; they sum to 1 over all features.
    fraud and fraud_share are None where no fraud is known.
    """

    name: str
    normal: float
    normal_share: float
    fraud: float | None
    fraud_share: float | None


@dataclass(frozen=True)
class Inspection:
    """scores: of all held-out rows and known frauds.

    features: all of them, worst first; empty for images, which have `pixels`.
    """

    scores: Distribution
    latent: Latent
    features: tuple[FeatureLoss, ...]
    pixels: Pixels | None


def inspect(detector: Detector) -> Inspection:
    """Inspects a detector; the same detector gives the same result."""
    calibration, encoder, rows = detector.calibration, detector.encoder, reconstruct(detector)
    known = np.repeat([False, True], [len(calibration.held_out), len(calibration.anomalies)])
    scores = np.concatenate([calibration.held_out, calibration.anomalies]).astype(np.float64)
    return Inspection(
        scores=distribution(scores, known if known.any() else None),
        latent=_latent(detector, rows),
        features=() if encoder.layout.image else _features(detector, rows),
        pixels=worst_pixels(encoder, rows) if encoder.layout.image else None,
    )


def _latent(detector: Detector, rows: Reconstruction) -> Latent:
    random = np.random.default_rng(detector.training.seed)
    drawn = [
        random.permutation(rows.numbers(fraud))[:most]
        for fraud, most in ((False, MOST_NORMAL), (True, MOST_FRAUDS))
    ]
    shown = np.concatenate([np.sort(numbers) for numbers in drawn])
    network = detector.networks[0]
    encoder = keras.Model(network.input, network.get_layer(LATENT).output)
    latent = encoder(tf.constant(rows.encoded[shown]), training=False).numpy().astype(np.float64)
    components = PCA(min(2, latent.shape[1]), svd_solver="full")
    with np.errstate(invalid="ignore"):  # a layer that is constant has no variance to share
        components.fit(latent[~rows.fraud[shown]])
    absent = 2 - components.n_components_
    first, second = np.pad(np.nan_to_num(components.explained_variance_ratio_), (0, absent)).tolist()
    return Latent(
        units=latent.shape[1],
        position=np.pad(components.transform(latent), ((0, 0), (0, absent))),
        variance=(first, second),
        error=rows.error[shown],
        score=rows.score[shown],
        fraud=rows.fraud[shown],
    )


def _features(detector: Detector, rows: Reconstruction) -> tuple[FeatureLoss, ...]:
    """Sorted by the mean of the two shares, so that the worst features of frauds and of normal rows both
    come early.
    """
    layout, nothing = detector.encoder.layout, [(None, None)] * detector.encoder.layout.features
    normal = _by_feature(rows.mean_loss(fraud=False), layout)
    frauds = _by_feature(rows.mean_loss(fraud=True), layout) if rows.has_frauds else nothing
    found = [
        FeatureLoss(name, *own, *fraud)
        for name, own, fraud in zip(detector.encoder.features, normal, frauds, strict=True)
    ]
    return tuple(sorted(found, key=lambda feature: -(feature.normal_share + (feature.fraud_share or 0.0))))


def _by_feature(losses: NDArray[np.float64], layout: Layout) -> list[tuple[float, float]]:
    """Returns the loss of each feature and its share of their sum, from each component's share in the error,
    (width,).
    """
    shared = losses @ layout.membership
    shares = shared / max(shared.sum(), np.finfo(np.float64).tiny)
    return list(zip((shared * layout.features).tolist(), shares.tolist(), strict=True))
