"""The available networks: `ARCHITECTURES[settings.architecture](layout, settings, seed)` returns an untrained
one.
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
