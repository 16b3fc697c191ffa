"""What a detector of images reconstructs worst: which pixels, and which images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.device import tf
from models.encoding.encoder import Encoder
from models.encoding.layout import Layout
from models.inspection.reconstruction import Reconstruction

WORST = 6


@dataclass(frozen=True)
class Picture:
    """An image and its reconstruction.

    observed, expected: uint8 (height, width, channels), on one scale for all pictures: 0 and 255 are the
        least and the largest pixel observed in them.
    loss: uint8 (height, width), the mean over channels; 255 is the `strong` loss of this picture.
    """

    fraud: bool
    error: float
    score: float
    observed: NDArray[np.uint8]
    expected: NDArray[np.uint8]
    loss: NDArray[np.uint8]


@dataclass(frozen=True)
class Pixels:
    """normal, fraud: the mean loss per pixel over held-out rows and over known frauds (None if none), float64
        (height, width), encoded units.
    worst: the images with the highest scores, half of them frauds where any is known; held-out ones first.
    """

    normal: NDArray[np.float64]
    fraud: NDArray[np.float64] | None
    worst: tuple[Picture, ...]


def worst_pixels(encoder: Encoder, rows: Reconstruction) -> Pixels:
    """Returns the pixels and images with the largest losses; the rows must be images."""
    kinds = (False, True) if rows.has_frauds else (False,)
    normal, *fraud = (_by_pixel(rows.mean_loss(kind), encoder.layout) for kind in kinds)
    highest = [_highest(rows, kind, WORST // len(kinds)) for kind in kinds]
    return Pixels(normal, fraud[0] if fraud else None, _pictures(encoder, rows, np.concatenate(highest)))


def shades(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """Returns the values scaled from low..high to 0..255; values beyond are clipped."""
    return np.asarray(np.rint(255 * np.clip((values - low) / max(high - low, 1e-12), 0, 1)), np.uint8)


def strong(losses: NDArray[np.floating]) -> float:
    """Returns the 99% quantile of the losses: scaled by the largest, all others would be too pale to see."""
    return float(np.quantile(losses, 0.99))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Returns a PNG of pixels (height, width, channels): 1 grey, 2 grey and opacity, 3 colour, 4 colour and
    opacity.
    """
    return bytes(tf.io.encode_png(pixels).numpy())


def _highest(rows: Reconstruction, fraud: bool, count: int) -> NDArray[np.int64]:
    numbers = rows.numbers(fraud)
    return numbers[np.argsort(-rows.score[numbers], kind="stable")[:count]]


def _by_pixel(losses: NDArray[np.floating], layout: Layout) -> NDArray[np.float64]:
    """Returns the loss of each pixel, (..., height, width), from each component's share in the error,
    (..., width).
    """
    assert layout.image is not None
    return np.asarray(
        (losses * layout.features).reshape(*losses.shape[:-1], *layout.image).mean(axis=-1), np.float64
    )


def _pictures(encoder: Encoder, rows: Reconstruction, numbers: NDArray[np.int64]) -> tuple[Picture, ...]:
    assert encoder.layout.image is not None
    shape = (len(numbers), *encoder.layout.image)
    observed, expected = (
        encoder.decode(values[numbers]).to_numpy().reshape(shape) for values in (rows.encoded, rows.output)
    )
    low, high = float(observed.min()), float(observed.max())
    losses = _by_pixel(rows.losses[numbers], encoder.layout)
    return tuple(
        Picture(
            fraud=bool(rows.fraud[number]),
            error=float(rows.error[number]),
            score=float(rows.score[number]),
            observed=shades(observed[k], low, high),
            expected=shades(expected[k], low, high),
            loss=shades(losses[k], 0.0, strong(losses[k])),
        )
        for k, number in enumerate(numbers)
    )
