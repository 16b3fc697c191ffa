"""Convolutional autoencoder for images: strided convolutions down to a latent layer, transposed convolutions
back up (Masci et al., 2011).
"""

import math

from models.device import keras
from models.encoding.layout import Layout
from models.errors import TrainingError
from models.networks.dense import LATENT, check_activation, dense, disturb
from models.settings import ModelSettings

KERNEL, STRIDE = 3, 2


def build(layout: Layout, settings: ModelSettings, seed: int) -> keras.Model:
    """See `dense.build`. Images of any size are padded to a multiple of the total stride, and the output is
    cropped.

    Raises TrainingError where the rows are not images, or too small for so many convolutions.
    """
    check_activation(settings)
    if layout.image is None:
        raise TrainingError(
            'architecture conv needs images; set features.image, or model.architecture = "dense"'
        )
    height, width, channels = layout.image
    whole = STRIDE ** len(settings.filters)
    if whole > 2 * min(height, width):
        raise TrainingError(
            f"{len(settings.filters)} convolutions of stride {STRIDE} are too many for images of "
            f"{height} x {width}; shorten model.filters"
        )
    rows, columns = math.ceil(height / whole), math.ceil(width / whole)
    below, right = rows * whole - height, columns * whole - width
    encoded = keras.Input((layout.width,), name="encoded")
    hidden = keras.layers.Reshape((height, width, channels))(disturb(encoded, settings, seed))
    hidden = keras.layers.ZeroPadding2D(((0, below), (0, right)))(hidden)
    for depth, filters in enumerate(settings.filters):
        hidden = keras.layers.Conv2D(filters, **_options(settings.activation, seed + depth))(hidden)
    shape, seed = hidden.shape[1:], seed + len(settings.filters)
    latent = dense(settings.latent, seed, name=LATENT)(keras.layers.Flatten()(hidden))
    hidden = keras.layers.Reshape(shape)(
        dense(math.prod(shape), seed + 1, activation=settings.activation)(latent)
    )
    for depth, filters in enumerate((*settings.filters[-2::-1], channels), start=2):
        activation = settings.activation if depth < len(settings.filters) + 1 else None
        dtype = {} if activation else {"dtype": "float32"}
        hidden = keras.layers.Conv2DTranspose(filters, **_options(activation, seed + depth), **dtype)(hidden)
    cropped = keras.layers.Cropping2D(((0, below), (0, right)), dtype="float32")(hidden)
    return keras.Model(
        encoded, keras.layers.Flatten(dtype="float32", name="reconstruction")(cropped), name="conv"
    )


def _options(activation: str | None, seed: int) -> dict[str, object]:
    return {
        "kernel_size": KERNEL,
        "strides": STRIDE,
        "padding": "same",
        "activation": activation,
        "kernel_initializer": keras.initializers.GlorotUniform(seed=seed),
    }
