"""Dense denoising autoencoder (Vincent et al., 2008): the network sees noise added to its input and
reconstructs the clean row.

The other architectures use its parts as well. Every network has a layer named LATENT: its narrowest.
"""

from models.device import keras
from models.encoding.layout import Layout
from models.errors import TrainingError
from models.settings import OF_KEYS, ModelSettings

LATENT = "latent"
WIDE, LATENT_UNITS = 128, (2, 64)  # without model.hidden


def build(layout: Layout, settings: ModelSettings, seed: int) -> keras.Model:
    """Returns a network from encoded rows, float32 (rows, layout.width), to reconstructions, float32 (rows,
    layout.outputs).

    Gaussian noise and dropout act on the input, during training only. Values and indicators are linear
    outputs, categories are logits.
    Raises TrainingError for an activation that Keras does not know.
    """
    check_activation(settings)
    hidden_units = layers(layout, settings)
    narrowest = hidden_units.index(min(hidden_units))
    encoded = keras.Input((layout.width,), name="encoded")
    hidden = disturb(expand(encoded, layout), settings, seed)
    for depth, units in enumerate(hidden_units):
        latent = {"name": LATENT, "activity_regularizer": _activity(settings)} if depth == narrowest else {}
        hidden = dense(units, seed + depth, activation=settings.activation, **latent)(hidden)
    return keras.Model(
        encoded,
        reconstruction(hidden, layout, seed + len(hidden_units)),
        name=settings.architecture or OF_KEYS,
    )


def layers(layout: Layout, settings: ModelSettings) -> tuple[int, ...]:
    """Returns the units of the hidden layers: those of the settings, else WIDE ones around a latent layer of
    half as many units as there are features, within LATENT_UNITS.
    """
    least, most = LATENT_UNITS
    return settings.hidden or (WIDE, min(max(layout.features // 2, least), most), WIDE)


def check_activation(settings: ModelSettings) -> None:
    """Raises TrainingError for an activation that Keras does not know."""
    try:
        keras.activations.get(settings.activation)
    except ValueError as error:
        raise TrainingError(
            f"model.activation {settings.activation!r} is unknown to Keras; choose one such as relu, "
            "gelu or tanh"
        ) from error


def expand(encoded: keras.KerasTensor, layout: Layout) -> keras.KerasTensor:
    """Encodes every code as a one-hot block: (rows, layout.width) to (rows, layout.outputs)."""
    blocks = [
        keras.ops.one_hot(keras.ops.cast(encoded[:, column], "int32"), stop - start)
        for column, start, stop in layout.blocks
    ]
    return keras.ops.concatenate([encoded[:, : layout.continuous], *blocks], axis=-1) if blocks else encoded


def disturb(hidden: keras.KerasTensor, settings: ModelSettings, seed: int) -> keras.KerasTensor:
    """Returns the input with Gaussian noise and dropout, during training only."""
    noisy = keras.layers.GaussianNoise(settings.input_noise, seed=seed)(hidden)
    return keras.layers.Dropout(settings.dropout, seed=seed)(noisy)


def dense(units: int, seed: int, **options: object) -> keras.layers.Dense:
    """Returns a dense layer whose initial weights are drawn by the seed."""
    return keras.layers.Dense(
        units, kernel_initializer=keras.initializers.GlorotUniform(seed=seed), **options
    )


def reconstruction(hidden: keras.KerasTensor, layout: Layout, seed: int) -> keras.KerasTensor:
    """Returns the output layer: values and indicators, then logits, in float32."""
    return dense(layout.outputs, seed, name="reconstruction", dtype="float32")(hidden)


def _activity(settings: ModelSettings) -> keras.Regularizer | None:
    return (
        keras.regularizers.L1(settings.activity_regularisation) if settings.activity_regularisation else None
    )
