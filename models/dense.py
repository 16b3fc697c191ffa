"""Dense denoising autoencoder (Vincent et al., 2008): the network sees noise added to its input and reconstructs the clean row."""

from models.device import keras
from models.errors import TrainingError
from models.layout import Layout
from models.settings import ModelSettings


def build(layout: Layout, settings: ModelSettings, seed: int) -> keras.Model:
    """A network from encoded rows, float32 (rows, layout.width), to reconstructions, float32 (rows, layout.outputs).

    Gaussian noise and dropout act on the input, while training only. Values and indicators come out linear, categories as logits.
    Raises TrainingError for an activation that Keras does not know.
    """
    try:
        keras.activations.get(settings.activation)
    except ValueError as error:
        raise TrainingError(
            f"model.activation {settings.activation!r} is unknown to Keras; choose one such as relu, gelu or tanh"
        ) from error
    encoded = keras.Input((layout.width,), name="encoded")
    hidden = expand(encoded, layout)
    hidden = keras.layers.GaussianNoise(settings.input_noise, seed=seed)(hidden)
    hidden = keras.layers.Dropout(settings.dropout, seed=seed)(hidden)
    for depth, units in enumerate(settings.hidden):
        hidden = dense(units, seed + depth, activation=settings.activation)(hidden)
    output = dense(layout.outputs, seed + len(settings.hidden), name="reconstruction", dtype="float32")(hidden)
    return keras.Model(encoded, output, name="dense")


def expand(encoded: keras.KerasTensor, layout: Layout) -> keras.KerasTensor:
    """The encoded row with every code as a one-hot block: (rows, layout.width) to (rows, layout.outputs)."""
    blocks = [keras.ops.one_hot(keras.ops.cast(encoded[:, column], "int32"), stop - start) for column, start, stop in layout.blocks]
    return keras.ops.concatenate([encoded[:, : layout.continuous], *blocks], axis=-1) if blocks else encoded


def dense(units: int, seed: int, **options: object) -> keras.layers.Dense:
    """A dense layer whose first weights follow from the seed."""
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=seed), **options)
