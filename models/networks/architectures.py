"""The available networks: `ARCHITECTURES[settings.architecture](layout, settings, seed)` returns an untrained
one.
"""

from collections.abc import Callable

from models.device import keras
from models.encoding.layout import Layout
from models.networks import conv, denoiser, dense, linear, vae
from models.settings import ModelSettings

DEFAULT, OF_IMAGES = "denoiser", "dense"  # where none is set; docs/figures.md has why

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


def build(layout: Layout, model: ModelSettings, seed: int) -> keras.Model:
    """Returns an untrained network of the architecture of the settings; see `architecture_of`."""
    return ARCHITECTURES[architecture_of(model, layout)](layout, model, seed)


def architecture_of(model: ModelSettings, layout: Layout) -> str:
    """Returns the architecture that the settings name; where they name none, DEFAULT, and OF_IMAGES for
    images.
    """
    return model.named_architecture or (OF_IMAGES if layout.image else DEFAULT)
