"""A column of images: decoded into pixels, and encoded for a network.

An image is PNG or JPEG bytes, or a list of height x width x channels numbers, row by row, channels last.
Bytes are decoded to 0..255 and the configured number of channels: colour becomes grey, 16 bits become 8,
transparency is dropped.

Pixels are standardised by one mean and one standard deviation, over all pixels of all fitted images. With
separate ones per pixel, a pixel that is nearly always black would outweigh the whole image once it is not.
"""

import math
from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.device import tf
from models.encoding.layout import Layout, rows_at_once
from models.errors import ModelError, TrainingError
from models.settings import ImageSettings

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"  # then the width and the height, four bytes each
JPEG = b"\xff\xd8\xff"
DECODED_AT_ONCE = 1_024

Pixels = NDArray[np.float32]
Found = Iterator[
    tuple[NDArray[np.integer], Pixels]
]  # row numbers, and their pixels (rows, height * width * channels)


def decode(column: pl.Series, image: ImageSettings) -> tuple[Pixels, NDArray[np.bool_]]:
    """Returns pixels, float32 (rows, height * width * channels), row by row, channels last; and which rows
    could be read, bool (rows,).

    Null, bytes that are not a whole PNG or JPEG of this size, and lists of another length or with null or
    non-finite numbers are unreadable; their pixels are 0. The column is Binary, or List or Array of numbers.
    """
    pixels = np.zeros((len(column), math.prod(image.shape)), np.float32)
    readable = np.zeros(len(column), dtype=bool)
    for numbers, found in (_decoded if column.dtype == pl.Binary else _listed)(column, image):
        pixels[numbers], readable[numbers] = found, True
    return pixels, readable


def is_readable(column: pl.Series, image: ImageSettings) -> NDArray[np.bool_]:
    """Returns which rows `decode` can read, bool (rows,), with few images in memory at a time."""
    parts = pl.DataFrame(column).iter_slices(rows_at_once(len(column), math.prod(image.shape)))
    return np.concatenate([np.zeros(0, dtype=bool), *(decode(part.to_series(), image)[1] for part in parts)])


class ImageFeature(BaseModel):
    """encoded = (pixel - center) / scale, in float32.

    Every pixel is a feature, named such as `column[row,column]`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    image: ImageSettings
    center: float
    scale: float

    @staticmethod
    def fit(frame: pl.DataFrame, image: ImageSettings) -> "ImageFeature":
        """Raises TrainingError where the column is missing or an image cannot be read."""
        values = pl.Series(_read(frame, image, TrainingError).ravel())
        center, deviation = float(values.mean()), float(values.std(ddof=0))  # type: ignore[arg-type]
        return ImageFeature(image=image, center=center, scale=deviation or max(1.0, abs(center)))

    @property
    def layout(self) -> Layout:
        count = math.prod(self.image.shape)
        return Layout(
            numeric=count, indicators=0, categories=(), owners=tuple(range(count)), image=self.image.shape
        )

    @property
    def names(self) -> tuple[str, ...]:
        """One per pixel, in their order; with a third index where there are several channels."""
        height, width, channels = self.image.shape
        indices = np.ndindex(height, width) if channels == 1 else np.ndindex(height, width, channels)
        return tuple(f"{self.image.column}[{','.join(map(str, index))}]" for index in indices)

    def encode(self, frame: pl.DataFrame) -> Pixels:
        """Returns float32 (rows, height * width * channels), finite.

        Raises ModelError where an image cannot be read.
        """
        pixels = _read(frame, self.image, ModelError)
        pixels -= np.float32(self.center)
        pixels /= np.float32(self.scale)
        return pixels

    def observed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Returns the pixels in source units, Float64: 0..255 for bytes, else the numbers of the lists."""
        return pl.DataFrame(_read(frame, self.image, ModelError).astype(np.float64), schema=list(self.names))

    def decode(self, output: NDArray[np.floating]) -> pl.DataFrame:
        """Returns a network's output, which has the form of encoded rows, in source units, Float64."""
        return pl.DataFrame(output.astype(np.float64) * self.scale + self.center, schema=list(self.names))


def _decoded(column: pl.Series, image: ImageSettings) -> Found:
    png = PNG + image.width.to_bytes(4) + image.height.to_bytes(4)
    numbers = (column.bin.starts_with(png) | column.bin.starts_with(JPEG)).arg_true()

    def decoded(number: tf.Tensor, content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.io.decode_image(content, channels=image.channels, expand_animations=False)
        return number, tf.ensure_shape(pixels, image.shape)

    contents = tf.constant(column.gather(numbers).to_list(), tf.string)
    images = tf.data.Dataset.from_tensor_slices((numbers.to_numpy(), contents))
    images = images.map(
        tf.autograph.experimental.do_not_convert(decoded), num_parallel_calls=tf.data.AUTOTUNE
    ).ignore_errors()
    for some, pixels in images.batch(DECODED_AT_ONCE).as_numpy_iterator():
        yield some, pixels.reshape(len(some), -1)


def _listed(column: pl.Series, image: ImageSettings) -> Found:
    lists, size = column.cast(pl.List(pl.Float32)), math.prod(image.shape)
    numbers = (lists.list.len() == size).arg_true()
    pixels = lists.gather(numbers).explode().to_numpy().reshape(-1, size)
    finite = np.isfinite(pixels).all(axis=1)
    yield numbers.to_numpy()[finite], pixels[finite]


def _read(frame: pl.DataFrame, image: ImageSettings, error: type[ModelError]) -> Pixels:
    """Returns the pixels of every row; raises `error` where one cannot be read."""
    name = image.column
    if name not in frame.columns:
        raise error(f"the rows lack the image column {name}; correct features.image")
    kind = frame.schema[name]
    if kind != pl.Binary and not (
        isinstance(kind, pl.List | pl.Array) and (kind.inner.is_numeric() or kind.inner == pl.Boolean)
    ):
        raise error(
            f"image column {name} has type {kind}; it must hold PNG or JPEG bytes, or lists of numbers"
        )
    pixels, readable = decode(frame[name], image)
    if bad := len(frame) - int(readable.sum()):
        size = " x ".join(map(str, image.shape))
        raise error(
            f"{bad:,} of {len(frame):,} images in column {name} cannot be read as {size} numbers; "
            "correct or remove those rows"
        )
    return pixels
