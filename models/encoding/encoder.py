"""Encodes source values as the numbers that a network reads, and decodes them. Fitted on normal rows only.

Numeric values are standardised (mean 0, standard deviation 1 over the fitted rows), after a signed logarithm
where the tail is heavy. Null, NaN and infinite values are missing. A feature with missing values among the
fitted rows is encoded as 0 there and has an indicator column. A missing value of any other feature is encoded
as `NEVER_MISSING`, far from the mean: it must not look normal. A feature that never varied, but for
rounding, is divided by max(1, |its value|).

Categories are coded from the most frequent (0) to the rarest; the last code is for rare, null and unseen
values.

An image has no other features beside it: its pixels are the numeric values; see `models.encoding.images`.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.encoding.images import ImageFeature
from models.encoding.layout import Layout
from models.errors import ModelError, TrainingError
from models.settings import ImageSettings

# the logarithm is taken where the standard deviation exceeds this many times that of the middle half
HEAVY_TAIL = 3.0
LOG_RANGE = 10.0  # ... and some value exceeds this: below, log(1 + x) changes little
NEVER_MISSING = 5.0  # encoded units
LARGEST = 1e6  # encoded units; larger values are clipped, so that squares stay finite in float32
MAX_CODES = 256
MIN_COUNT = 5  # a category seen less often among the fitted rows is rare
# By how much a constant may differ from itself, as a share of its value: sums of many terms round.
DOUBLE_ROUNDING, SINGLE_ROUNDING = 1e-12, 1e-6
NUMBER = re.compile(
    r"-?(0|[1-9][0-9]*)(\.[0-9]+|(\.[0-9]+)?e\+[0-9]+)"
)  # as DuckDB writes floats and decimals
NORMAL_IQR = 1.349  # interquartile range of a standard normal variable


class _Feature(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str


class NumericFeature(_Feature):
    """encoded = (f(x) - center) / scale, with f(x) = sign(x) log(1 + |x|) where signed_log, else x."""

    signed_log: bool
    center: float
    scale: float
    may_be_missing: bool

    def source_values(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns encoded values in source units."""
        return _untransformed(encoded * self.scale + self.center, self.signed_log)

    def encode(self, frame: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Returns the encoded values, and which of them are missing, each (rows,)."""
        values = pl.col(self.name).cast(pl.Float64) if not self.signed_log else _transformed(self.name, True)
        found = frame.select(values).to_series().to_numpy()
        missing = ~np.isfinite(found)
        with np.errstate(all="ignore"):  # of missing values
            encoded = np.subtract(found, self.center)
            encoded *= 1 / self.scale
        np.clip(encoded, -LARGEST, LARGEST, out=encoded)
        if missing.any():
            encoded[missing] = 0.0 if self.may_be_missing else NEVER_MISSING
        return encoded, missing


class CategoricalFeature(_Feature):
    """The vocabulary in the order of its codes.

    canonical: whether it holds canonical texts; earlier versions of Nightscore learnt numbers as their type
    writes them, such as 7.0 or 7.00 for 7.
    """

    vocabulary: tuple[str, ...]
    canonical: bool = False

    @property
    def expression(self) -> pl.Expr:
        """The code, Float32 (whole numbers)."""
        codes = self._codes
        return (
            pl.col(self.name)
            .cast(pl.String)
            .replace_strict(
                list(codes), list(codes.values()), default=len(self.vocabulary), return_dtype=pl.Float32
            )
        )

    @property
    def _codes(self) -> dict[str, int]:
        """The code of each text: a boolean stands for 1 or 0 where only these were learnt."""
        codes = {text: code for code, text in enumerate(self.vocabulary)}
        if not self.canonical:
            codes = {_canonical_number(text): code for text, code in codes.items()} | codes
        if not {"true", "false"} & codes.keys():
            codes |= {text: codes[digit] for text, digit in (("true", "1"), ("false", "0")) if digit in codes}
        return codes


class Encoder(BaseModel):
    """The fitted encoding of each feature.

    `model_dump_json` and `model_validate_json` are a lossless round trip.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    numeric: tuple[NumericFeature, ...]
    categorical: tuple[CategoricalFeature, ...]
    image: ImageFeature | None = None

    @staticmethod
    def fit(
        frame: pl.DataFrame,
        numeric: Sequence[str],
        categorical: Sequence[str],
        image: ImageSettings | None = None,
    ) -> "Encoder":
        """Learns the encoding of the named columns, or of the column of images, from normal rows.

        Raises TrainingError where a column is missing, a numeric one is not numeric, or an image cannot be
        read.
        """
        if image is not None:
            return Encoder(numeric=(), categorical=(), image=ImageFeature.fit(frame, image))
        _check(frame, numeric, categorical, TrainingError)
        return Encoder(
            numeric=tuple(_fit_numeric(frame, name) for name in numeric),
            categorical=tuple(_fit_categorical(frame, name) for name in categorical),
        )

    @cached_property
    def layout(self) -> Layout:
        if self.image is not None:
            return self.image.layout
        indicators = [k for k, feature in enumerate(self.numeric) if feature.may_be_missing]
        count = len(self.numeric)
        return Layout(
            numeric=count,
            indicators=len(indicators),
            categories=tuple(len(feature.vocabulary) + 1 for feature in self.categorical),
            owners=(*range(count), *indicators, *range(count, count + len(self.categorical))),
        )

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The names, numeric ones first; or those of the pixels."""
        if self.image is not None:
            return self.image.names
        return tuple(feature.name for feature in (*self.numeric, *self.categorical))

    def encode(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Returns float32 (rows, layout.width), C-contiguous and finite for any values; computed in float64.

        Raises ModelError where a column is missing, a numeric one is not numeric, or an image cannot be
        read.
        """
        if self.image is not None:
            pixels = self.image.encode(frame)
            return np.clip(pixels, -LARGEST, LARGEST, out=pixels)
        _check(
            frame,
            [feature.name for feature in self.numeric],
            [feature.name for feature in self.categorical],
            ModelError,
        )
        encoded = np.empty((frame.height, self.layout.width), np.float32)
        for k, feature in enumerate(self.numeric):
            encoded[:, k], missing = feature.encode(frame)
            if (indicator := self._indicators.get(k)) is not None:
                encoded[:, indicator] = missing
        for k, category in enumerate(self.categorical, self.layout.continuous):
            encoded[:, k] = frame.select(category.expression).to_series().to_numpy()
        return encoded

    def observed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Returns the features in source units: numeric and pixels Float64 (null where missing), categories
        String.
        """
        if self.image is not None:
            return self.image.observed(frame)
        return frame.select(
            *(_transformed(feature.name, False).alias(feature.name) for feature in self.numeric),
            *(pl.col(feature.name).cast(pl.String) for feature in self.categorical),
        )

    def decode(self, output: NDArray[np.floating]) -> pl.DataFrame:
        """Returns a network's output (rows, layout.outputs) in source units.

        Numeric and pixels Float64, null where a missing value is expected; the likeliest category String,
        null for the code of rare and unseen values.
        """
        if self.image is not None:
            return self.image.decode(output)
        layout, indicator = self.layout, self._indicators
        columns = {}
        for k, feature in enumerate(self.numeric):
            values = feature.source_values(output[:, k].astype(np.float64))
            absent = output[:, indicator[k]] > 0.5 if k in indicator else np.zeros(len(values), dtype=bool)
            columns[feature.name] = pl.Series(np.where(absent, np.nan, values)).fill_nan(None)
        for category, (_, start, stop) in zip(self.categorical, layout.blocks, strict=True):
            names = pl.Series([*category.vocabulary, None], dtype=pl.String)
            columns[category.name] = names.gather(
                pl.Series(output[:, start:stop].argmax(axis=1), dtype=pl.UInt32)
            )
        return pl.DataFrame(columns)

    @cached_property
    def _indicators(self) -> dict[int, int]:
        """The column of the indicator of each numeric feature that has one, by their positions."""
        layout = self.layout
        owners = layout.owners[layout.numeric : layout.continuous]
        return {owner: layout.numeric + k for k, owner in enumerate(owners)}


def _transformed(name: str, signed_log: bool) -> pl.Expr:
    value = pl.col(name).cast(pl.Float64)
    finite = pl.when(value.is_finite()).then(value)
    return finite.sign() * finite.abs().log1p() if signed_log else finite


def _untransformed(values: NDArray[np.float64], signed_log: bool) -> NDArray[np.float64]:
    return np.sign(values) * np.expm1(np.minimum(np.abs(values), 700.0)) if signed_log else values


def _fit_numeric(frame: pl.DataFrame, name: str) -> NumericFeature:
    values = frame.select(_transformed(name, False)).to_series().drop_nulls()
    may_be_missing = len(values) < len(frame)
    if values.is_empty():
        return NumericFeature(name=name, signed_log=False, center=0.0, scale=1.0, may_be_missing=True)
    if _is_constant(values):
        center = float(values.mean())  # type: ignore[arg-type]
        scale = max(1.0, abs(center))
        return NumericFeature(
            name=name, signed_log=False, center=center, scale=scale, may_be_missing=may_be_missing
        )
    signed_log = _heavy_tailed(values)
    values = frame.select(_transformed(name, signed_log)).to_series().drop_nulls()
    center, deviation = float(values.mean()), float(values.std(ddof=0))  # type: ignore[arg-type]
    return NumericFeature(
        name=name,
        signed_log=signed_log,
        center=center,
        scale=deviation or max(1.0, abs(center)),
        may_be_missing=may_be_missing,
    )


def _is_constant(values: pl.Series) -> bool:
    """Whether finite values differ by no more than rounding, such as 0.1 + 0.2 and 0.3.

    Values that are all float32 numbers, and not all whole, were rounded as float32.
    """
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    is_single = (values.cast(pl.Float32).cast(pl.Float64) == values).all() and (
        values != values.round()
    ).any()
    rounding = SINGLE_ROUNDING if is_single else DOUBLE_ROUNDING
    return high - low <= rounding * max(abs(low), abs(high))


def _heavy_tailed(values: pl.Series) -> bool:
    low, high, deviation, largest = (
        pl.DataFrame({"value": values})
        .select(
            pl.col("value").quantile(0.25).alias("low"),
            pl.col("value").quantile(0.75).alias("high"),
            pl.col("value").std(ddof=0).alias("deviation"),
            pl.col("value").abs().max().alias("largest"),
        )
        .row(0)
    )
    return bool(largest > LOG_RANGE and deviation > HEAVY_TAIL * (high - low) / NORMAL_IQR)


def _fit_categorical(frame: pl.DataFrame, name: str) -> CategoricalFeature:
    counts = frame.select(pl.col(name).cast(pl.String).alias("value")).drop_nulls().group_by("value").len()
    frequent = counts.filter(pl.col("len") >= MIN_COUNT).sort(["len", "value"], descending=[True, False])
    vocabulary = tuple(frequent["value"].head(MAX_CODES - 1))
    return CategoricalFeature(name=name, vocabulary=vocabulary, canonical=True)


def _canonical_number(text: str) -> str:
    """The canonical text of a number that an earlier version wrote; any other text as it is."""
    if not NUMBER.fullmatch(text):
        return text
    value = Decimal(text)
    return str(int(value)) if value == value.to_integral_value() else text.rstrip("0")


def _check(
    frame: pl.DataFrame, numeric: Sequence[str], categorical: Sequence[str], error: type[ModelError]
) -> None:
    if absent := [name for name in (*numeric, *categorical) if name not in frame.columns]:
        raise error(
            f"the rows lack the feature columns {', '.join(absent)}; correct features.numeric and "
            "features.categorical"
        )
    for name in numeric:
        kind = frame.schema[name]
        if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
            raise error(
                f"numeric feature {name} has type {kind}; list it under features.categorical, or convert it"
            )
