"""The networks to choose from: `ARCHITECTURES[settings.architecture](layout, settings, seed)` gives an
untrained one.
"""

from collections.abc import Callable

from models.device import keras
from models.encoding.layout import Layout
from models.networks import conv, dense, linear, vae
from models.settings import ModelSettings

Build = Callable[[Layout, ModelSettings, int], keras.Model]

ARCHITECTURES: dict[str, Build] = {
    "dense": dense.build,
    "linear": linear.build,
    "vae": vae.build,
    "conv": conv.build,
}
