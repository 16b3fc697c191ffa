"""Baselines that a trained detector must beat: `BASELINES[name](detector)` returns a function from encoded
rows to scores, float (rows,).

Higher is stranger. Each uses the detector's own encoder and training sample, so that only the model differs.
Where distances count, a category is a 0/1 column per code: the codes themselves have no distances.
TITLES has their display names.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from models.detector import neighbours as nearest
from models.detector.batches import run
from models.detector.calibration import LEAST_DEVIATION
from models.detector.detector import Detector
from models.detector.fit_score import fit_score
from models.detector.score_kinds import SCORES
from models.detector.scorer import Scorer
from models.device import keras, tf
from models.encoding.layout import Layout
from models.encoding.samples import Encoded, cap
from models.graphs import Graph
from models.networks import architectures
from models.settings import ModelSettings

EXPLAINED = 0.9  # share of the variance that the principal components of `pca_residual` explain at most
MOST_AXES = 200  # principal components computed; images have thousands, which take minutes
NEIGHBOURS = 20
# scoring 60,000 rows x 15 features takes 2 seconds against so many, 6 against the whole sample of 20,000
NEIGHBOUR_ROWS = 4_000
SLICE = 8_192  # rows scored at once: a column per code can take ten times the memory of the encoded rows

Floats = NDArray[np.float64]
Score = Callable[[Encoded], NDArray[np.floating]]


def no_model(detector: Detector) -> Score:
    """The sum of squared z-scores of the encoded numeric values."""
    return _in_slices(
        lambda rows: np.square(rows[:, : detector.encoder.layout.numeric], dtype=np.float64).sum(axis=1)
    )


def untrained_network(detector: Detector) -> Score:
    """The same networks before training, with the moments of their residuals on the sample; by the part of
    the detector's score that depends on them, and by their error where none does.
    """
    settings, layout, seed = detector.settings, detector.encoder.layout, detector.training.seed
    of_residual = [name for name in detector.parts if SCORES[name].contributions]
    parts = tuple(of_residual or ["error"])
    networks = tuple(_untrained(layout, settings, seed + member) for member in range(settings.members))
    sample = detector.samples.training
    normality = fit_score(networks, layout, parts, settings.draws, sample, sample, seed)
    scorer = Scorer(networks, layout, parts, settings.draws, normality)
    return lambda rows: scorer.scores([rows])[1]


def mahalanobis(detector: Detector) -> Score:
    """The squared Mahalanobis distance from the sample's mean, with the covariance of Ledoit & Wolf (2004).

    Along the principal components that covariance is diagonal. There may be more columns than rows:
    directions beyond the computed components share one variance (Tipping & Bishop, 1999).
    """
    sample = _one_hot(detector.samples.training, detector.encoder.layout)
    axes = _principal_axes(sample, detector.training.seed)
    covariance, _ = ledoit_wolf(axes.transform(sample), assume_centered=True)
    variance, rest = (
        np.maximum(found, LEAST_DEVIATION**2) for found in (np.diag(covariance), axes.noise_variance_)
    )

    def score(rows: Encoded) -> Floats:
        along, beyond = _split(_one_hot(rows, detector.encoder.layout), axes.mean_, axes.components_)
        return np.asarray((np.square(along) / variance).sum(axis=1) + np.square(beyond).sum(axis=1) / rest)

    return _in_slices(score)


def pca_residual(detector: Detector) -> Score:
    """The squared distance to the plane of the leading principal components, those that explain at most
    EXPLAINED of the variance.
    """
    axes = _principal_axes(
        _one_hot(detector.samples.training, detector.encoder.layout), detector.training.seed
    )
    leading = axes.components_[np.cumsum(axes.explained_variance_ratio_) <= EXPLAINED]

    def score(rows: Encoded) -> Floats:
        _, beyond = _split(_one_hot(rows, detector.encoder.layout), axes.mean_, leading)
        return np.asarray(np.square(beyond).sum(axis=1))

    return _in_slices(score)


def isolation_forest(detector: Detector) -> Score:
    """Isolation forest (Liu, Ting & Zhou, 2008) on the encoded training sample; codes of categories rank
    them by rarity.
    """
    forest = IsolationForest(random_state=detector.training.seed).fit(detector.samples.training)
    return _in_slices(lambda rows: -forest.score_samples(rows))


def neighbours(detector: Detector) -> Score:
    """The mean distance from the nearest rows of a sample of the training rows (Ramaswamy, Rastogi & Shim,
    2000; the mean: Angiulli & Pizzuti, 2002).
    """
    layout = detector.encoder.layout
    reference = nearest.padded(nearest.draw_reference(detector.samples.training, detector.training.seed))
    graph, among = _nearest(layout), tf.constant(reference)

    def score(rows: Encoded) -> Floats:
        shares, _ = run(lambda encoded: graph(encoded, among), [rows], nearest.ROWS)
        return np.asarray(shares.sum(axis=1, dtype=np.float64))

    return _in_slices(score)


def local_outlier_factor(detector: Detector) -> Score:
    """Local outlier factor (Breunig et al., 2000) against at most NEIGHBOUR_ROWS rows of the training sample.

    These are distinct: around many copies of a row the density is infinite, and every other row there would
    be an outlier.
    """
    distinct = np.unique(detector.samples.training, axis=0)
    sample = _one_hot(cap(distinct, NEIGHBOUR_ROWS, detector.training.seed), detector.encoder.layout)
    neighbours = LocalOutlierFactor(
        n_neighbors=min(NEIGHBOURS, len(sample) - 1), algorithm="brute", novelty=True
    ).fit(sample)
    return _in_slices(lambda rows: -neighbours.score_samples(_one_hot(rows, detector.encoder.layout)))


BASELINES: dict[str, Callable[[Detector], Score]] = {
    "no_model": no_model,
    "untrained_network": untrained_network,
    "mahalanobis": mahalanobis,
    "pca_residual": pca_residual,
    "isolation_forest": isolation_forest,
    "neighbours": neighbours,
    "local_outlier_factor": local_outlier_factor,
}
TITLES = {
    "no_model": "no model",
    "untrained_network": "untrained network",
    "mahalanobis": "Mahalanobis",
    "pca_residual": "PCA residual",
    "isolation_forest": "isolation forest",
    "neighbours": "nearest neighbours",
    "local_outlier_factor": "local outlier factor",
}


@lru_cache(32)  # TensorFlow never frees all of a network: one for every evaluation would fill the memory
def _untrained(layout: Layout, settings: ModelSettings, seed: int) -> keras.Model:
    return architectures.build(layout, settings, seed)


@lru_cache
def _nearest(layout: Layout) -> Graph:
    return Graph(lambda encoded, reference: nearest.contributions(encoded, reference, layout))


def _in_slices(score: Callable[[Encoded], Floats]) -> Score:
    def scored(rows: Encoded) -> Floats:
        return np.concatenate(
            [np.zeros(0), *(score(rows[start : start + SLICE]) for start in range(0, len(rows), SLICE))]
        )

    return scored


def _one_hot(rows: Encoded, layout: Layout) -> Floats:
    """Returns float64 (rows, layout.outputs): the values and indicators, then one column per code of each
    category.
    """
    codes = [rows[:, [column]] == np.arange(stop - start) for column, start, stop in layout.blocks]
    return np.hstack([rows[:, : layout.continuous], *codes], dtype=np.float64)


def _principal_axes(sample: Floats, seed: int) -> PCA:
    """Fits at most half as many axes as rows: few rows lie almost in a plane, and new ones do not."""
    rows, width = sample.shape
    return PCA(min(MOST_AXES, width, rows // 2), random_state=seed).fit(sample)


def _split(rows: Floats, mean: Floats, axes: Floats) -> tuple[Floats, Floats]:
    """Returns the coordinates of rows along the axes (rows, axes), and their remainder (rows, width)."""
    centred = rows - mean
    along = centred @ axes.T
    return along, centred - along @ axes
