"""The noise that a denoiser removes: Gaussian for values and indicators, codes of other rows for categories.

Its deviation in each column follows the shape of the column's distribution (Livernoche, Zan & Rabbany, 2026):
wide where the tail is heavy, narrow where values are spread evenly.
"""

import numpy as np
from numpy.typing import NDArray

from models.device import keras
from models.encoding.samples import Encoded

NOISE = "noise"  # the name of the layer
NORMAL, SLOPE, NORMAL_KURTOSIS = 0.5, 0.33, 3.0
LEAST, MOST = 0.1, 3.0  # encoded units, as is the deviation of a normal distribution
FEW_VALUES, OF_FEW = 3, 0.45
BINS = 100
EXCHANGED = 0.1  # share of the codes that are exchanged
VALIDATION_ROWS, MOST_COPIES = 8_192, 10  # few rows are validated with several draws of the noise


def find_deviations(columns: Encoded) -> NDArray[np.float32]:
    """Returns the standard deviation of the noise for each column of (rows, columns), float32 (columns,)."""
    return np.array([_deviation(column) for column in columns.T], np.float32)


def _deviation(column: Encoded) -> float:
    if len(np.unique(column)) <= FEW_VALUES:
        return OF_FEW
    return float(np.clip(NORMAL * (1 + SLOPE * (_kurtosis(column) - NORMAL_KURTOSIS)), LEAST, MOST))


def _kurtosis(column: Encoded) -> float:
    """The kurtosis of a histogram whose bins are sorted outward from the highest, so that several peaks count
    as one.
    """
    counts = np.sort(np.histogram(column.astype(np.float64), BINS)[0])[::-1]
    outward = np.where(np.arange(BINS) % 2, 1, -1) * (np.arange(BINS) + 1) // 2
    centred = outward - np.average(outward, weights=counts)
    variance = np.average(centred**2, weights=counts)
    # all but rounding in one bin: no tail is heavier
    return float(np.average(centred**4, weights=counts) / variance**2) if variance else np.inf


@keras.saving.register_keras_serializable(package="nightscore")
class Noise(keras.layers.Layer):  # type: ignore[misc]
    """Returns encoded rows (rows, width), with noise during training only, and the deviations of the noise,
    float32 (rows, continuous).

    continuous: how many of the columns are no codes. The deviations are weights that no training changes.
    """

    def __init__(self, continuous: int, seed: int, **options: object) -> None:
        super().__init__(**options)
        self.continuous, self.seed = continuous, seed
        self.random = keras.random.SeedGenerator(seed)
        self.deviations = self.add_weight(
            shape=(continuous,), initializer=keras.initializers.Constant(NORMAL), trainable=False
        )

    def adapt(self, rows: Encoded) -> None:
        """Sets the deviations by the distributions of the rows."""
        self.deviations.assign(find_deviations(rows[:, : self.continuous]))

    def call(
        self, encoded: keras.KerasTensor, training: bool = False
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        values = encoded[:, : self.continuous]
        deviations = keras.ops.ones_like(values) * self.deviations
        return self.disturb(encoded, self.random) if training else encoded, deviations

    def disturb(self, encoded: keras.KerasTensor, random: keras.random.SeedGenerator) -> keras.KerasTensor:
        """Returns rows with noise. A code is exchanged for that of the row before, which is any other row."""
        values, codes = encoded[:, : self.continuous], encoded[:, self.continuous :]
        noise = keras.random.normal(keras.ops.shape(values), seed=random)
        exchanged = keras.random.uniform(keras.ops.shape(codes), seed=random) < EXCHANGED
        others = keras.ops.roll(codes, 1, axis=0)
        return keras.ops.concatenate(
            [values + self.deviations * noise, keras.ops.where(exchanged, others, codes)], axis=-1
        )

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "continuous": self.continuous, "seed": self.seed}


def find_noise(network: keras.Model) -> Noise | None:
    """Returns the layer of a denoiser; None for other networks, which disturb their input themselves."""
    return next((layer for layer in network.layers if layer.name == NOISE), None)


def validation_rows(network: keras.Model, rows: Encoded, seed: int) -> tuple[Encoded, Encoded]:
    """Returns the rows that a network sees in validation, and those that it should give: for a denoiser,
    copies with noise that the seed draws once for all epochs.
    """
    if (noise := find_noise(network)) is None:
        return rows, rows
    copies = np.tile(rows, (min(max(VALIDATION_ROWS // len(rows), 1), MOST_COPIES), 1))
    return noise.disturb(copies, keras.random.SeedGenerator(seed)).numpy(), copies
