"""The charts of a model card for the SVG macros, and its pictures."""

import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.inspection.pictures import png, shades, strong
from models.inspection.summary import FeatureLoss, Latent
from models.networks.fitting import Epoch
from tasks.pages.charts import Axis, Chart, Cloud, Scatter, Series, axis, count, log_axis, score, share_text

LOG_FACTOR = 5.0  # losses whose largest is more than this factor above the smallest get a logarithmic axis
MARGIN = 0.04  # of the range of losses and epochs, on each side of it
LEVELS = 8  # colours for errors, see style.css
INK = (194, 24, 139)  # colour of losses in pictures, visible on light and on dark backgrounds
MAX_FEATURES = 15


@dataclass(frozen=True)
class PixelMap:
    """The mean loss of each pixel as a picture. strongest: losses of at least this have the full colour."""

    name: str
    address: str
    strongest: float


def best_epochs(history: Sequence[Epoch]) -> list[Epoch]:
    """Returns, for each network, the epoch whose weights were kept."""
    members = sorted({epoch.member for epoch in history})
    return [
        min(
            (epoch for epoch in history if epoch.member == member),
            key=lambda epoch: (epoch.epoch == 0, epoch.kept_by),
        )
        for member in members
    ]


def losses(history: Sequence[Epoch]) -> Chart:
    """Returns the training and validation loss by epoch, a pair of lines for each network, with a dot at the
    epoch whose weights were kept.
    """
    best = best_epochs(history)
    values = [value for epoch in history for value in (epoch.loss, epoch.validation_loss)]
    low, high = min(values), max(values)
    log = low > 0 and high > LOG_FACTOR * low
    place = math.log10 if log else float
    note = (
        f"{score(best[0].validation_loss)} at epoch {best[0].epoch}"
        if len(best) == 1
        else f"{len(best)} networks"
    )
    series = []
    for kept in best:
        own, is_first = [epoch for epoch in history if epoch.member == kept.member], kept.member == 0
        validation = tuple((epoch.epoch, place(epoch.validation_loss)) for epoch in own)
        training = tuple((epoch.epoch, place(epoch.loss)) for epoch in own)
        spot = (kept.epoch, place(kept.validation_loss))
        series += [
            Series("Validation" if is_first else "", "main", validation, note, spot=spot),
            Series("Training" if is_first else "", "second", training),
        ]
    epochs = [epoch.epoch for epoch in history]
    first, last = min(epochs), max(epochs)  # the first is 0, the untrained network
    bottom, top = (math.log10(low), math.log10(high)) if log else (min(low, 0.0), high)
    # Lines and dots have a width, and would cover the axes without a margin.
    side, margin = MARGIN * (last - first) or 0.5, MARGIN * (top - bottom) or 0.5
    return Chart(
        "Loss by epoch",
        "Training and validation loss by epoch, with a dot at the epoch whose weights were kept",
        axis("Epoch", first - side, last + side, steps=max(1, min(6, last - first))),
        log_axis("Loss, logarithmic", bottom - margin, top + margin)
        if log
        else axis("Loss", bottom - (margin if low <= 0 else 0.0), top + margin),
        tuple(series),
    )


def by_error(latent: Latent) -> Scatter:
    """Returns the latent space, coloured by error."""
    errors = latent.error.astype(np.float64)
    logs = np.log10(np.maximum(errors, errors[errors > 0].min()))
    scale = log_axis("Error, logarithmic", float(logs.min()), float(logs.max()), steps=6)
    level = np.clip((LEVELS * (logs - scale.low) / (scale.high - scale.low)).astype(int), 0, LEVELS - 1)
    points = _clipped(latent)
    clouds = tuple(
        Cloud(f"level {step}", f"e{step}", _pairs(points[level == step])) for step in reversed(range(LEVELS))
    )
    text = "Rows in the latent space, coloured by their error"
    return Scatter("Coloured by error", text, *_axes(latent), clouds, scale)


def by_label(latent: Latent, others: str) -> Scatter | None:
    """Returns the latent space, coloured by label; None if no fraud is known."""
    if not latent.fraud.any():
        return None
    points = _clipped(latent)
    groups = [("Frauds", "second", points[latent.fraud]), (others, "main", points[~latent.fraud])]
    clouds = tuple(Cloud(name, style, _pairs(found), count(len(found))) for name, style, found in groups)
    return Scatter(
        "Coloured by label", "Rows in the latent space, coloured by their label", *_axes(latent), clouds
    )


def outside(latent: Latent) -> int:
    """Returns the number of points that lie beyond the axes and are drawn at the edges."""
    return int((_clipped(latent) != latent.position).any(axis=1).sum())


def bars(features: Sequence[FeatureLoss]) -> list[tuple[FeatureLoss, float, float]]:
    """Returns the worst features, with the lengths of their bars, 0 to 100, for normal rows and for
    frauds.
    """
    shown = features[:MAX_FEATURES]
    longest = max([max(one.normal_share, one.fraud_share or 0.0) for one in shown], default=0.0) or 1.0
    return [
        (one, 100 * one.normal_share / longest, 100 * (one.fraud_share or 0.0) / longest) for one in shown
    ]


def pixel_map(name: str, loss: NDArray[np.float64]) -> PixelMap:
    """Returns mean losses (height, width) as a picture."""
    strongest = strong(loss)
    return PixelMap(name, inked(shades(loss, 0.0, strongest)), strongest)


def picture(pixels: NDArray[np.uint8]) -> str:
    """Returns pixels (height, width, channels) as a data URL."""
    return "data:image/png;base64," + b64encode(png(pixels)).decode("ascii")


def inked(loss: NDArray[np.uint8]) -> str:
    """Returns losses (height, width) as a data URL: the larger the loss, the more opaque the pixel."""
    colour = np.broadcast_to(np.array(INK, np.uint8), (*loss.shape, 3))
    return picture(np.concatenate([colour, loss[..., None]], axis=-1))


def _bounds(latent: Latent) -> NDArray[np.float64]:
    """Returns the low and high ends of the two axes, (2, 2). They are quantiles: a few distant rows would
    press all others into a corner.
    """
    kinds = [latent.position[latent.fraud == kind] for kind in (False, True) if (latent.fraud == kind).any()]
    ends = np.array([np.quantile(points, [0.005, 0.995], axis=0) for points in kinds])
    low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    margin = np.where(high > low, 0.06 * (high - low), 0.5)
    return np.array([low - margin, high + margin])


def _clipped(latent: Latent) -> NDArray[np.float64]:
    low, high = _bounds(latent)
    return np.clip(latent.position, low, high)


def _axes(latent: Latent) -> tuple[Axis, Axis]:
    names = [
        f"{which} component ({share_text(share)} of the variance)"
        for which, share in zip(("First", "Second"), latent.variance, strict=True)
    ]
    first, second = (
        axis(name, low, high) for name, low, high in zip(names, *_bounds(latent).tolist(), strict=True)
    )
    return first, second


def _pairs(points: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in points.tolist())
