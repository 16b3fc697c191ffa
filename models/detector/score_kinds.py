"""The scores: `SCORES[kind]`, and COMBINED, which adds two of them.

Each is a sum of contributions, one per column of the encoded row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detector.calibration import LEAST_DEVIATION, whitening
from models.device import tf
from models.encoding.layout import Layout
from models.networks.fitting import Criterion, Residuals
from models.settings import ModelSettings

NEIGHBOURS, COMBINED = "neighbours", "combined"
DEFAULT, OF_IMAGES = COMBINED, "whitened"  # where none is set; docs/figures.md has why
# in a combined score, where the neighbours have 1, and so has the error of a denoiser: docs/figures.md
RESIDUAL_WEIGHT = 0.25
# up to which a denoiser's error is weak, and its whitened residual is not: chosen on the sets of
# docs/figures.md, none of which has seven to nine features
FEW_FEATURES = 8
MOST_COMPONENTS = 4_096  # of a covariance; for larger images it is not computed

Moments = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class ScoreKind:
    """contributions: maps residuals (rows, width), the mean (width,) and root (width, width) of held-out
        normal residuals, and the number of features to float32 (rows, width), at least 0; the score is their
    sum. None: the score is not of the residual, but of the distances from neighbours.
    moments: computes that mean and root from residuals (rows, width) of held-out normal rows.
    sampled: there is one residual per noise draw of a variational network, and the contributions are
    averaged over draws.
    criterion: see `fitting.Criterion`. None: networks are chosen by their validation loss.
    """

    contributions: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, int], tf.Tensor] | None
    moments: Callable[[NDArray[np.floating], Layout], Moments]
    sampled: bool = False
    criterion: Criterion | None = None


def _covariance(residual: NDArray[np.floating], layout: Layout) -> Moments:
    return whitening(residual)


def _no_moments(residual: NDArray[np.floating], layout: Layout) -> Moments:
    """Placeholders for scores that need no moments; one number each, as a covariance of many pixels would be
    large.
    """
    return np.zeros(1, np.float32), np.ones((1, 1), np.float32)


def _variances(residual: NDArray[np.floating], layout: Layout) -> Moments:
    """root is diagonal: a Gaussian with this component's mean squared residual as its variance, the maximum
    likelihood estimate (Rybkin, Daniilidis & Levine, 2021); the square of a category's component already is
    its negative log likelihood.
    """
    variance = np.maximum(np.square(residual.astype(np.float64)).mean(axis=0), LEAST_DEVIATION**2)
    scale = np.where(np.arange(layout.width) < layout.continuous, 1 / np.sqrt(2 * variance), 1.0)
    return np.zeros(layout.width, np.float32), np.diag(scale).astype(np.float32)


def _error(residual: tf.Tensor, mean: tf.Tensor, root: tf.Tensor, features: int) -> tf.Tensor:
    return tf.square(residual) / features


def _mae(residual: tf.Tensor, mean: tf.Tensor, root: tf.Tensor, features: int) -> tf.Tensor:
    return tf.abs(residual) / features


def _whitened(residual: tf.Tensor, mean: tf.Tensor, root: tf.Tensor, features: int) -> tf.Tensor:
    return tf.square(tf.matmul(residual - mean, root, transpose_b=True))


def _mean_absolute(fit: Residuals, validation: Residuals) -> float:
    return float(np.abs(validation).mean())


def _gaussian(fit: Residuals, validation: Residuals) -> float:
    """The negative log likelihood of validation residuals under the Gaussian of training residuals, without
    its constant: a network that learnt rows by heart leaves them much smaller residuals than others.
    """
    mean, root = whitening(fit)
    white = (validation - mean) @ root.T
    return float(np.square(white).sum(axis=1).mean() / 2 - np.linalg.slogdet(root.astype(np.float64))[1])


SCORES: dict[str, ScoreKind] = {
    # mean r^2
    "error": ScoreKind(_error, _no_moments),
    # mean |r|
    "mae": ScoreKind(_mae, _no_moments, criterion=_mean_absolute),
    # (r - mean)' inverse(covariance) (r - mean), the squared Mahalanobis distance
    "whitened": ScoreKind(_whitened, _covariance, criterion=_gaussian),
    # -log p(x | z), averaged over draws of z (An & Cho, 2015), without the constant that is the same for
    # every row
    "reconstruction_probability": ScoreKind(_whitened, _variances, sampled=True),
    # the mean distance from the nearest rows of a reference sample, see `neighbours`
    NEIGHBOURS: ScoreKind(None, _no_moments),
}


def score_of(model: ModelSettings, layout: Layout) -> str:
    """Returns the score of the settings; where none is set, DEFAULT, and OF_IMAGES for images, on which the
    default was not chosen.
    """
    return model.score or (OF_IMAGES if layout.image else DEFAULT)


def parts_of(model: ModelSettings, layout: Layout) -> tuple[str, ...]:
    """Returns the names in SCORES of what the score is made of: itself, or for COMBINED the score of the
    residual and `neighbours`; see `residual_weight`. A detector keeps those that it was trained with.

    The score of the residual is `reconstruction_probability` of a variational network, `error` of a denoiser
    of more than FEW_FEATURES features, else `whitened`, or `error` for rows too wide for a covariance.
    """
    score = score_of(model, layout)
    if score != COMBINED:
        return (score,)
    if model.architecture == "vae":
        return "reconstruction_probability", NEIGHBOURS
    by_error = layout.width > MOST_COMPONENTS
    if model.architecture == "denoiser":
        by_error |= layout.features > FEW_FEATURES
    return ("error" if by_error else "whitened"), NEIGHBOURS


def residual_weight(model: ModelSettings, parts: tuple[str, ...]) -> float:
    """Returns the weight of the residual in a combined score of these parts."""
    return 1.0 if (model.architecture, parts[0]) == ("denoiser", "error") else RESIDUAL_WEIGHT
