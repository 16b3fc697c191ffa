"""The residuals of a reconstruction.

A residual has one component per column of the encoded row: for values and indicators the encoded value minus
the reconstructed one, for a category the square root of the cross-entropy of its logits against its code.
So the sum of squares is the loss that networks are trained on. The values and indicators of a denoiser are
measured in units of its noise.
"""

from collections.abc import Callable

from models.device import keras, tf
from models.encoding.layout import Layout
from models.networks.noise import find_noise


def units(network: keras.Model) -> tf.Tensor | float:
    """Returns by what the differences of values and indicators are divided: 1, or the deviations of a
    denoiser's noise, float32 (layout.continuous,).
    """
    noise = find_noise(network)
    return 1.0 if noise is None else tf.convert_to_tensor(noise.deviations)


def residual(
    encoded: tf.Tensor, output: tf.Tensor, layout: Layout, units: tf.Tensor | float = 1.0
) -> tf.Tensor:
    """Returns residuals, float32 (rows, layout.width), of encoded rows (rows, layout.width) and a network's
    output (rows, layout.outputs), in the units of the network.
    """
    difference = (encoded[:, : layout.continuous] - output[:, : layout.continuous]) / units
    return tf.concat(
        [difference, *(tf.sqrt(entropy) for entropy in _cross_entropies(encoded, output, layout))], axis=-1
    )


def loss(layout: Layout, network: keras.Model) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the training loss of a network: float32 (rows,), sum of squared residuals over the number of
    features.
    """

    def mean_squared_residual(encoded: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        difference = (encoded[:, : layout.continuous] - output[:, : layout.continuous]) / units(network)
        squares = [tf.square(difference), *_cross_entropies(encoded, output, layout)]
        return tf.reduce_sum(tf.concat(squares, axis=-1), axis=-1) / layout.features

    return mean_squared_residual


def _cross_entropies(encoded: tf.Tensor, output: tf.Tensor, layout: Layout) -> list[tf.Tensor]:
    """Returns float32 (rows, 1) per category, at least 0; finite for any logits."""
    entropies = []
    for column, start, stop in layout.blocks:
        logits = output[:, start:stop]
        code = tf.one_hot(tf.cast(encoded[:, column], tf.int32), stop - start)
        entropy = tf.reduce_logsumexp(logits, axis=-1, keepdims=True) - tf.reduce_sum(
            code * logits, axis=-1, keepdims=True
        )
        entropies.append(tf.maximum(entropy, 0.0))
    return entropies
