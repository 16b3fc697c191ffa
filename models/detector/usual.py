"""What is usual on the rows that a detector was trained on, in words: the range of a number, the share of
rows that have a category.
"""

import math
from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.encoding.encoder import Encoder, NumericFeature
from models.encoding.samples import Encoded

RANGE = (0.05, 0.95)  # the quantiles between which a number is usual
MOVED = 0.01  # of the training rows that rounding of the range may move in or out
SINGLE = 1e-6  # relative precision of float32, and some more
MOSTLY = 0.5  # where more training rows lack a value, that is what is usual
OF_TRAINING = "of the training rows"


def usual_texts(encoder: Encoder, training: Encoded) -> tuple[pl.Expr, ...]:
    """Returns an expression per feature for what is usual for each value: String, over `encoder.observed`.

    training: encoded training rows, or a sample of them. A number has the range of its RANGE quantiles, or,
    where most training rows lack it, their share; a missing one has the share of training rows in which it is
    missing, a category the share of training rows that have it. Null for the pixels of an image.
    """
    if encoder.image is not None:
        return (pl.repeat(None, pl.len(), dtype=pl.String),) * len(encoder.features)
    return *_numeric(encoder, training), *_categorical(encoder, training)


def _numeric(encoder: Encoder, training: Encoded) -> Iterator[pl.Expr]:
    layout = encoder.layout
    indicators = {
        owner: layout.numeric + k for k, owner in enumerate(layout.owners[layout.numeric : layout.continuous])
    }
    for k, feature in enumerate(encoder.numeric):
        absent = training[:, indicators[k]] > 0.5 if k in indicators else np.zeros(len(training), dtype=bool)
        missing = (
            "never missing in training" if not absent.any() else f"missing in {_share(absent)} {OF_TRAINING}"
        )
        value = pl.col(feature.name).cast(pl.Float64)
        usual = _numbers(feature, training[~absent, k], len(training), value)
        yield (
            pl.when(value.is_finite() & pl.lit(bool(np.mean(absent) <= MOSTLY)))
            .then(usual)
            .otherwise(pl.lit(missing))
            .alias(feature.name)
        )


def _numbers(feature: NumericFeature, encoded: NDArray[np.float32], rows: int, value: pl.Expr) -> pl.Expr:
    """The range of the encoded values; where that is one number, the number, and beside the number itself how
    many of all rows have it.
    """
    if not encoded.size:
        return pl.lit("always missing in training")
    values = np.sort(feature.source_values(encoded.astype(np.float64)))
    low, high = np.quantile(values, RANGE)
    rounding = _rounding(feature, max(abs(low), abs(high)))
    if high - low > rounding:
        return pl.lit(_range(values, low, high, rounding))
    only = _positional(low, min(5 - _magnitude(low), -_magnitude(rounding)))
    same = np.count_nonzero(np.abs(values - low) <= rounding)
    is_only = (value - low).abs() <= rounding
    return (
        pl.when(is_only)
        .then(pl.lit(f"in {_of(same, rows)} {OF_TRAINING}"))
        .otherwise(pl.lit(f"usually {only}"))
    )


def _rounding(feature: NumericFeature, largest: float) -> float:
    """How far a source value may be from its encoded one, which is float32: where the value is near 0, the
    center cancels, but not its rounding.
    """
    if feature.signed_log:
        return SINGLE * (1 + largest) * max(abs(feature.center), math.log1p(largest))
    return SINGLE * max(abs(feature.center), largest)


def _range(values: NDArray[np.float64], low: float, high: float, rounding: float) -> str:
    """values: ascending."""

    def inside(decimals: int) -> float:
        ends = round(low, decimals) - rounding, round(high, decimals) + rounding
        first, last = np.searchsorted(values, ends)
        return float(last - first) / len(values)

    coarsest = 1 - _magnitude(high - low)
    finest = coarsest + 12
    exact = inside(finest)
    decimals = next(each for each in range(coarsest, finest + 1) if abs(inside(each) - exact) <= MOVED)
    return f"usually {_positional(low, decimals)} to {_positional(high, decimals)}"


def _categorical(encoder: Encoder, training: Encoded) -> Iterator[pl.Expr]:
    layout = encoder.layout
    for k, feature in enumerate(encoder.categorical):
        codes = training[:, layout.continuous + k].astype(np.int64)
        counts = np.bincount(codes, minlength=len(feature.vocabulary) + 1)
        texts = [f"in {_of(count, codes.size)} {OF_TRAINING}" for count in counts]
        rare = f"rare: such values are in {_of(counts[-1], codes.size)} {OF_TRAINING}"
        texts[-1] = rare if counts[-1] else "never seen in training"
        known = {float(code): text for code, text in enumerate(texts)}
        yield feature.expression.replace_strict(known, return_dtype=pl.String).alias(feature.name)


def _share(rows: NDArray[np.bool_]) -> str:
    return _of(np.count_nonzero(rows), rows.size)


def _of(count: int | np.integer, rows: int) -> str:
    """A share with two significant digits, never rounded to 0 or 1."""
    share = count / rows if rows else 0.0
    if share in (0.0, 1.0):
        return "none" if not share else "all"
    decimals = 1 - _magnitude(min(share, 1 - share))
    return f"{share:.{max(2, decimals)}f}"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _positional(value: float, decimals: int) -> str:
    """A rounded number without an exponent; 0 is never negative."""
    return np.format_float_positional(round(value, decimals) + 0.0, trim="-")
