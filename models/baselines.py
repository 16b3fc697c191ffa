"""What a trained detector must beat: `BASELINES[name](detector)` gives a function from a frame to scores, float (rows,).

Higher is stranger. Each uses the detector's own encoder and training rows, so that only the model differs.
"""

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from models.detector import Detector

Score = Callable[[pl.DataFrame], NDArray[np.floating]]


def no_model(detector: Detector) -> Score:
    """The sum of squared z-scores of the encoded numeric values."""

    def score(frame: pl.DataFrame) -> NDArray[np.floating]:
        values = detector.encoder.encode(frame)[:, : detector.encoder.layout.numeric].astype(np.float64)
        return np.asarray(np.square(values).sum(axis=1))

    return score


def untrained_network(detector: Detector) -> Score:
    """The same networks before training, calibrated the same way."""
    untrained = detector.untrained()
    return lambda frame: untrained.score(frame).score


def isolation_forest(detector: Detector) -> Score:
    """Isolation forest (Liu, Ting & Zhou, 2008) on the encoded training sample; codes of categories rank them by rarity."""
    forest = IsolationForest(random_state=detector.training.seed).fit(detector.samples.training)

    def score(frame: pl.DataFrame) -> NDArray[np.floating]:
        return np.asarray(-forest.score_samples(detector.encoder.encode(frame)))

    return score


BASELINES: dict[str, Callable[[Detector], Score]] = {
    "no_model": no_model,
    "untrained_network": untrained_network,
    "isolation_forest": isolation_forest,
}
