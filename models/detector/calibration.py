"""The residuals and scores of normal rows, against which a detector measures other rows."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn import covariance as covariances

# encoded units: a component that is always reconstructed exactly must not outweigh all others
LEAST_DEVIATION = 0.01
LEAST_EIGENVALUE = 1e-6


def _no_rows() -> NDArray[np.float32]:
    return np.zeros((0, 0), np.float32)


def _nothing() -> NDArray[np.float32]:
    return np.zeros(0, np.float32)


@dataclass(frozen=True)
class Normality:
    """What a score measures rows against, fitted on normal rows.

    residual_mean: float32 (members, width); residual_root: float32 (members, width, width), see `whitening`;
        both from rows that no network was trained on.
    reference: float32 (rows, width), see `neighbours`; without rows for a score that needs none.
    spacing: float32 (rows,), of the reference, see `neighbours.find_spacing`; 1 where distances are plain,
        and without rows for versions of an earlier format.
    logarithms: float32 (3, numeric features), in which distances are measured, see `find_logarithms`; (0, 0)
        where they are in encoded units.
    refine_above: the score by the first reference rows beyond which the whole reference is searched.
    first_scale: float32, by which nearer distances from the first rows are multiplied, to be comparable with
    those from the whole.
    tails: float32 (3, 22), of the residual's score, of the distance from the first reference rows and of that
        from all, see `fit_tail`; without rows for a score of one part.
    ranges: float32 (5, numeric features), of the training rows, see `far`. far_weight: float32, 0 for images
    and for versions of an earlier format.
    """

    residual_mean: NDArray[np.float32]
    residual_root: NDArray[np.float32]
    reference: NDArray[np.float32] = field(default_factory=_no_rows, kw_only=True)
    spacing: NDArray[np.float32] = field(default_factory=_nothing, kw_only=True)
    logarithms: NDArray[np.float32] = field(default_factory=_no_rows, kw_only=True)
    refine_above: np.float32 = field(default=np.float32(np.inf), kw_only=True)
    first_scale: np.float32 = field(default=np.float32(1), kw_only=True)
    tails: NDArray[np.float32] = field(default_factory=_no_rows, kw_only=True)
    ranges: NDArray[np.float32] = field(default_factory=_no_rows, kw_only=True)
    far_weight: np.float32 = field(default=np.float32(0), kw_only=True)


@dataclass(frozen=True)
class Calibration(Normality):
    """Measured on normal rows, and on known frauds where there are any.

    held_out: float32 (rows,), ascending: the scores of rows that were used for nothing else. The p-values
    come from these.
    training: float32 (rows,): the scores of the training part, including unconfirmed rows in it, to which
        nothing was fitted: without them a quantile would fall with every training, and flag more rows each
        time.
    anomalies: float32 (rows,): the scores of the known frauds of the training window, none of which was
        trained on. Empty where none is known, or `training.rows` is all.
    normals: the number of normal rows in the training window, without the anomalies; each held-out row
    represents its share of them.
    """

    held_out: NDArray[np.float32]
    training: NDArray[np.float32]
    anomalies: NDArray[np.float32]
    normals: int

    def p_values(self, score: NDArray[np.floating]) -> NDArray[np.float64]:
        """Conformal p-values, float64 (rows,): (1 + held-out scores at least as high) / (1 + held-out
        scores).

        Uniform for new normal rows, except for ties (Vovk, Gammerman & Shafer, 2005; Bates et al., 2023).
        """
        at_least = len(self.held_out) - np.searchsorted(self.held_out, score, side="left")
        return np.asarray((1.0 + at_least) / (1.0 + len(self.held_out)), dtype=np.float64)


def whitening(residual: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the mean (width,) and root (width, width) of residuals (rows, width): root @ (r - mean) is
    white on normal rows.

    root = C^(-1/2) D^(-1), with D the standard deviations and C the Ledoit-Wolf (2004) estimate of the
    covariance of the standardised residuals, so that the shrinkage does not depend on units: "ZCA-cor" of
    Kessy, Lewin & Strimmer (2018). Of all whitenings this keeps each output closest to its own component, so
    its square is that component's share of r' inverse(S) r.
    """
    values = residual.astype(np.float64)
    mean = values.mean(axis=0)
    deviation = np.maximum(values.std(axis=0), LEAST_DEVIATION)
    covariance, _ = covariances.ledoit_wolf((values - mean) / deviation, assume_centered=True)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    root = (vectors / np.sqrt(np.maximum(eigenvalues, LEAST_EIGENVALUE))) @ vectors.T / deviation
    return mean.astype(np.float32), root.astype(np.float32)
