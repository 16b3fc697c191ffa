"""Denoising autoencoder as a score network (Vincent, 2011): a residual network (Gorishniy et al., 2021)
without bottleneck that sees x + sigma e, and learns to give -e; x + sigma net(x) is the reconstruction.

Without noise, net(x) is sigma times the gradient of the log density around x: small where rows are likely, it
points to them elsewhere. So residuals are in units of sigma, and the sum of their squares is |net(x)|^2.
Categories have logits, as in the other networks: of the code that was there before some were exchanged.
"""

from models.device import keras
from models.encoding.layout import Layout
from models.errors import TrainingError
from models.networks.dense import LATENT, check_activation, dense, expand
from models.networks.noise import NOISE, Noise
from models.settings import ModelSettings

BLOCKS = (128, 128)  # without model.hidden
INNER_DROPOUT, OUTER_DROPOUT = 0.2, 0.1
MOMENTUM = 0.95  # of the moving moments; the 0.99 of Keras is slow for a training of some hundred steps


def build(layout: Layout, settings: ModelSettings, seed: int) -> keras.Model:
    """See `dense.build`. Each of the `hidden` is a block, whose inner layer has so many units; the blocks are
    added to a stream that is as wide as the widest of them.

    Raises TrainingError for images as well: their pixels have no distributions of their own.
    """
    check_activation(settings)
    if layout.image is not None:
        raise TrainingError(
            'architecture denoiser is for columns, not for images; set model.architecture = "conv" or "dense"'
        )
    blocks = layers(layout, settings)
    narrowest = blocks.index(min(blocks))
    encoded = keras.Input((layout.width,), name="encoded")
    seen, deviations = Noise(layout.continuous, seed, name=NOISE, dtype="float32")(encoded)
    stream = dense(max(blocks), seed)(expand(seen, layout))
    for depth, units in enumerate(blocks):
        name = {"name": LATENT} if depth == narrowest else {}
        first, second = seed + 2 * depth + 1, seed + 2 * depth + 2
        hidden = dense(units, first, activation=settings.activation, **name)(_normalised(stream))
        hidden = keras.layers.Dropout(INNER_DROPOUT, seed=first)(hidden)
        hidden = dense(max(blocks), second)(hidden)
        stream = stream + keras.layers.Dropout(OUTER_DROPOUT, seed=second)(hidden)
    hidden = keras.layers.Activation(settings.activation)(_normalised(stream))
    answer = dense(layout.outputs, seed + 2 * len(blocks) + 1, name="answer", dtype="float32")(hidden)
    values = seen[:, : layout.continuous] + deviations * answer[:, : layout.continuous]
    return keras.Model(
        encoded, keras.ops.concatenate([values, answer[:, layout.continuous :]], axis=-1), name="denoiser"
    )


def layers(layout: Layout, settings: ModelSettings) -> tuple[int, ...]:
    """Returns the units of the blocks: those of the settings, else BLOCKS."""
    return settings.hidden or BLOCKS


def _normalised(stream: keras.KerasTensor) -> keras.KerasTensor:
    """Normalises each unit over the batch during training, afterwards by the moments of many batches."""
    return keras.layers.BatchNormalization(momentum=MOMENTUM)(stream)
