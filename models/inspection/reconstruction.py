"""The sample rows that a detector was not trained on, with their reconstructions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detector.batches import ROWS
from models.detector.detector import Detector
from models.device import tf
from models.encoding.layout import rows_at_once
from models.encoding.samples import Encoded
from models.networks.residuals import residual


@dataclass(frozen=True)
class Reconstruction:
    """The held-out rows, then the known frauds.

    encoded: float32 (rows, width). output: float32 (rows, outputs), the mean over the networks. fraud: bool
    (rows,).
    error, score: float32 (rows,). losses: float32 (rows, width), the loss of each component over the number
        of features; a row's sum is its error.
    """

    encoded: Encoded
    output: NDArray[np.float32]
    fraud: NDArray[np.bool_]
    error: NDArray[np.float32]
    score: NDArray[np.float32]
    losses: NDArray[np.float32]

    def numbers(self, fraud: bool) -> NDArray[np.int64]:
        """Returns the positions of the known frauds, or of the held-out rows."""
        return np.flatnonzero(self.fraud == fraud)

    def mean_loss(self, fraud: bool) -> NDArray[np.float64]:
        """Returns the mean of `losses` over these rows, float64 (width,); there must be such rows."""
        return np.asarray(self.losses[self.fraud == fraud].mean(axis=0, dtype=np.float64))

    @property
    def has_frauds(self) -> bool:
        return bool(self.fraud.any())


def reconstruct(detector: Detector) -> Reconstruction:
    """Reconstructs the held-out rows and known frauds of a detector; deterministic."""
    layout, samples = detector.encoder.layout, detector.samples
    encoded = np.concatenate([samples.held_out, samples.anomalies])
    most = rows_at_once(ROWS, layout.width)
    batches = [encoded[start : start + most] for start in range(0, len(encoded), most)]
    outputs = [
        np.concatenate([network(batch, training=False).numpy() for batch in batches])
        for network in detector.networks
    ]
    losses = [
        np.square(residual(tf.constant(encoded), tf.constant(output), layout, network).numpy())
        / layout.features
        for network, output in zip(detector.networks, outputs, strict=True)
    ]
    error, score = detector.autoencoder.scores(batches)  # a head has learnt from these frauds
    fraud = np.repeat([False, True], [len(samples.held_out), len(samples.anomalies)])
    return Reconstruction(encoded, np.mean(outputs, axis=0), fraud, error, score, np.mean(losses, axis=0))
