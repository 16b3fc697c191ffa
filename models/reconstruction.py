"""The rows that a detector keeps of those it was not trained on, with what its networks make of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detector import Detector
from models.device import tf
from models.layout import rows_at_once
from models.residuals import residual
from models.samples import Encoded
from models.scoring import ROWS, run


@dataclass(frozen=True)
class Reconstruction:
    """The held-out rows, then the known frauds.

    encoded: float32 (rows, width). output: float32 (rows, outputs), the mean over the networks. fraud: bool (rows,).
    error, score: float32 (rows,). losses: float32 (rows, width), the loss of each component over the number of features; a row's
        sum is its error.
    """

    encoded: Encoded
    output: NDArray[np.float32]
    fraud: NDArray[np.bool_]
    error: NDArray[np.float32]
    score: NDArray[np.float32]
    losses: NDArray[np.float32]

    def numbers(self, fraud: bool) -> NDArray[np.int64]:
        """The positions of the known frauds, or of the held-out rows."""
        return np.flatnonzero(self.fraud == fraud)

    def mean_loss(self, fraud: bool) -> NDArray[np.float64]:
        """The mean over these rows of `losses`, float64 (width,); there must be such rows."""
        return np.asarray(self.losses[self.fraud == fraud].mean(axis=0, dtype=np.float64))

    @property
    def has_frauds(self) -> bool:
        return bool(self.fraud.any())


def reconstruct(detector: Detector) -> Reconstruction:
    """The same detector gives the same reconstruction."""
    held_out, anomalies = detector.samples.held_out, detector.samples.anomalies
    encoded, layout = np.concatenate([held_out, anomalies]), detector.encoder.layout
    error, score = run(detector.scorer.scores, [encoded])
    parts = [_outputs_and_losses(detector, rows) for rows in _slices(encoded, rows_at_once(ROWS, layout.width))]
    output, losses = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Reconstruction(encoded, output, np.repeat([False, True], [len(held_out), len(anomalies)]), error, score, losses)


def _outputs_and_losses(detector: Detector, rows: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means over the networks."""
    layout = detector.encoder.layout
    outputs = [network(rows, training=False) for network in detector.networks]
    losses = [np.square(residual(tf.constant(rows), output, layout)) / layout.features for output in outputs]
    return np.mean(outputs, axis=0, dtype=np.float32), np.mean(losses, axis=0, dtype=np.float32)


def _slices(rows: Encoded, most: int) -> Iterator[Encoded]:
    return (rows[start : start + most] for start in range(0, len(rows), most))
