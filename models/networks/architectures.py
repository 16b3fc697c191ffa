"""The available networks: `ARCHITECTURES[settings.architecture](layout, settings, seed)` returns an untrained
one.
"""

from collections.abc import Callable

from models.device import keras
from models.encoding.layout import Layout
from models.networks import conv, denoiser, dense, linear, vae
from models.settings import ModelSettings

Build = Callable[[Layout, ModelSettings, int], keras.Model]

ARCHITECTURES: dict[str, Build] = {
    "dense": dense.build,
    "linear": linear.build,
    "vae": vae.build,
    "conv": conv.build,
    "denoiser": denoiser.build,
}
# The units of the layers where the settings do not have them; convolutions have none.
LAYERS: dict[str, Callable[[Layout, ModelSettings], tuple[int, ...]]] = {
    "dense": dense.layers,
    "linear": dense.layers,
    "vae": dense.layers,
    "denoiser": denoiser.layers,
}
