"""Linear autoencoder: dense layers without activation. Trained without noise it spans the same subspace as
the principal components (Baldi & Hornik, 1989).
"""

from models.device import keras
from models.encoding.layout import Layout
from models.networks import dense
from models.settings import ModelSettings


def build(layout: Layout, settings: ModelSettings, seed: int) -> keras.Model:
    """See `dense.build`: the same network with every activation linear."""
    return dense.build(layout, settings.model_copy(update={"activation": "linear"}), seed)
