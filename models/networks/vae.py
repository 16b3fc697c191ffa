"""Variational autoencoder (Kingma & Welling, 2014): the latent layer is a Gaussian per row, drawn by
reparameterisation during training.

A row is reconstructed from the mean of its Gaussian; for the reconstruction probability (An & Cho, 2015) from
noise draws that are the same for every row, so that its score does not depend on other rows.
"""

import numpy as np

from models.device import keras, tf
from models.encoding.layout import Layout
from models.networks.dense import LATENT, check_activation, dense, disturb, expand, layers, reconstruction
from models.settings import ModelSettings

LOG_VARIANCE, DRAWN = "latent_log_variance", "drawn"
LIMIT = 10.0  # of a log variance, so that its exponential stays finite


def build(layout: Layout, settings: ModelSettings, seed: int) -> keras.Model:
    """See `dense.build`. The layers of `hidden` before the narrowest (the first of several) are the encoder,
    those after it the decoder.

    The Kullback-Leibler divergence is added to the loss, which then is the evidence lower bound of a decoder
    with the variance `kl_weight`, times a constant (the weight is the beta of Higgins et al., 2017).
    """
    check_activation(settings)
    hidden_units = layers(layout, settings)
    narrowest = hidden_units.index(min(hidden_units))
    encoded = keras.Input((layout.width,), name="encoded")
    hidden = disturb(expand(encoded, layout), settings, seed)
    for depth, units in enumerate(hidden_units[:narrowest]):
        hidden = dense(units, seed + depth, activation=settings.activation)(hidden)
    mean = dense(hidden_units[narrowest], seed + narrowest, name=LATENT, dtype="float32")(hidden)
    log_variance = dense(hidden_units[narrowest], seed - 1, name=LOG_VARIANCE, dtype="float32")(hidden)
    hidden = Draw(2 * settings.kl_weight / layout.features, seed, name=DRAWN, dtype="float32")(
        [mean, log_variance]
    )
    for depth, units in enumerate(hidden_units[narrowest + 1 :], start=narrowest + 1):
        hidden = dense(units, seed + depth, activation=settings.activation)(hidden)
    return keras.Model(encoded, reconstruction(hidden, layout, seed + len(hidden_units)), name="vae")


@keras.saving.register_keras_serializable(package="nightscore")
class Draw(keras.layers.Layer):  # type: ignore[misc]
    """Returns a draw of the Gaussian with [mean, log variance], each float32 (rows, units), during training;
    otherwise its mean.

    Adds its mean Kullback-Leibler divergence from the standard normal distribution to the loss, times
    `weight`.
    """

    def __init__(self, weight: float, seed: int, **options: object) -> None:
        super().__init__(**options)
        self.weight, self.seed = weight, seed
        self.random = keras.random.SeedGenerator(seed)

    def call(self, gaussian: list[keras.KerasTensor], training: bool = False) -> keras.KerasTensor:
        mean, log_variance = gaussian[0], keras.ops.clip(gaussian[1], -LIMIT, LIMIT)
        divergence = (
            keras.ops.sum(keras.ops.square(mean) + keras.ops.exp(log_variance) - 1 - log_variance, axis=-1)
            / 2
        )
        self.add_loss(self.weight * keras.ops.mean(divergence))
        if not training:
            return mean
        return mean + keras.ops.exp(log_variance / 2) * keras.random.normal(
            keras.ops.shape(mean), seed=self.random
        )

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "weight": self.weight, "seed": self.seed}


def reconstruct(network: keras.Model, encoded: tf.Tensor, draws: int) -> tf.Tensor:
    """Returns the reconstructions for `draws` draws, float32 (rows x draws, layout.outputs); the draws of a
    row are adjacent.
    """
    mean, log_variance = keras.Model(
        network.input, [network.get_layer(name).output for name in (LATENT, LOG_VARIANCE)]
    )(encoded)
    noise = np.random.default_rng(0).standard_normal((draws, mean.shape[-1])).astype(np.float32)
    deviation = tf.exp(tf.clip_by_value(log_variance, -LIMIT, LIMIT) / 2)
    drawn = mean[:, None, :] + deviation[:, None, :] * noise
    decoder = keras.Model(network.get_layer(DRAWN).output, network.output)
    return decoder(tf.reshape(drawn, (-1, mean.shape[-1])))
