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


def residual(encoded: tf.Tensor, output: tf.Tensor, layout: Layout, network: keras.Model) -> tf.Tensor:
    """Returns residuals, float32 (rows, layout.width), of encoded rows (rows, layout.width) and the output
    (rows, layout.outputs) of a network, in its units.
    """
    entropies = [tf.sqrt(entropy) for entropy in _cross_entropies(encoded, output, layout)]
    return tf.concat([_differences(encoded, output, layout, network), *entropies], axis=-1)


def loss(layout: Layout, network: keras.Model) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the training loss of a network: float32 (rows,), sum of squared residuals over the number of
    features.
    """

    def mean_squared_residual(encoded: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        difference = _differences(encoded, output, layout, network)
        squares = [tf.square(difference), *_cross_entropies(encoded, output, layout)]
        return tf.reduce_sum(tf.concat(squares, axis=-1), axis=-1) / layout.features

    return mean_squared_residual


def _differences(encoded: tf.Tensor, output: tf.Tensor, layout: Layout, network: keras.Model) -> tf.Tensor:
    """Returns those of values and indicators, float32 (rows, layout.continuous): in encoded units, or by the
    deviations of a denoiser's noise.
    """
    differences = encoded[:, : layout.continuous] - output[:, : layout.continuous]
    noise = find_noise(network)
    return differences if noise is None else differences / tf.convert_to_tensor(noise.deviations.value)


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
