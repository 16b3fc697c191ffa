"""Small detectors, each trained once for all tests that look at one."""

from functools import cache

import numpy as np
import polars as pl

from models.detector.detector import Detector, train
from models.settings import ImageSettings, ModelSettings, TrainingSettings

NASTY = """<script>alert("x")</script> & 'kind'"""
SHAPE = (5, 4, 3)
NOISY_PIXEL = (2, 1)
TRAINING = TrainingSettings(epochs=8, batch_size=64, learning_rate=1e-2, seed=3)


def payments(rows: int, seed: int) -> pl.DataFrame:
    """Four columns that follow from two, one of them sometimes missing; a category that follows as well; and
    one that is noise.
    """
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(rows, 2))
    values = hidden @ np.array([[1.0, 0.5, -1.0, 0.3], [0.2, -1.0, 0.4, 1.0]])
    return pl.DataFrame(values, schema=["a", "b", "c", "d"]).with_columns(
        d=pl.when(pl.Series(random.random(rows) < 0.95)).then("d"),
        noise=pl.Series(random.normal(size=rows)),
        **{NASTY: pl.Series(np.where(hidden[:, 0] > 0, "web", "shop"))},
    )


NORMAL = payments(2_000, seed=1)
FRAUDS = payments(40, seed=2).with_columns(b=pl.col("b") + 9)


@cache
def tabular() -> Detector:
    model = ModelSettings(hidden=(24, 2, 24), input_noise=0.05, score="whitened")
    return train(NORMAL, ["a", "b", "c", "d", "noise"], [NASTY], model, TRAINING, anomalies=FRAUDS)


@cache
def variational() -> Detector:
    """Two networks, and no known fraud."""
    model = ModelSettings(
        architecture="vae", hidden=(12, 2, 12), score="reconstruction_probability", draws=4, members=2
    )
    return train(NORMAL[:600], ["a", "b", "c"], [], model, TRAINING.model_copy(update={"epochs": 3}))


def photographs(rows: int, seed: int) -> pl.DataFrame:
    """A column of lists of numbers: a picture whose brightness varies; one pixel is noise."""
    random = np.random.default_rng(seed)
    picture = np.random.default_rng(0).uniform(0.5, 1, SHAPE)
    pixels = 200 * picture * random.uniform(0.5, 1, size=(rows, 1, 1, 1)) + random.normal(
        0, 2, (rows, *SHAPE)
    )
    pixels[:, *NOISY_PIXEL] = random.uniform(0, 255, (rows, SHAPE[-1]))
    return pl.DataFrame({"photo": pixels.reshape(rows, -1).tolist()})


@cache
def images() -> Detector:
    normal, frauds = (
        photographs(600, seed=1),
        photographs(12, seed=2).select(pl.col("photo").list.eval(pl.element() * 0.2)),
    )
    image = ImageSettings(column="photo", height=SHAPE[0], width=SHAPE[1], channels=SHAPE[2])
    return train(
        normal,
        [],
        [],
        ModelSettings(hidden=(16, 2, 16), score="error"),
        TRAINING,
        image=image,
        anomalies=frauds,
    )
