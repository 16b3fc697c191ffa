"""Networks to train, of which a process keeps one of each form: its passes are traced once.

Tracing takes longer than training a small network.
"""

from dataclasses import dataclass

from models.device import has_gpu, keras
from models.encoding.layout import Layout
from models.networks import architectures
from models.networks.passes import Passes
from models.networks.residuals import loss
from models.settings import ModelSettings

MOST_KEPT = 8
OF_SCORES = {"score": None, "draws": 1, "members": 1, "explain_below": 0.0}  # no network depends on these


@dataclass(frozen=True)
class Form:
    """What networks have in common whose passes are the same. batch_size: rows per training step."""

    layout: Layout
    settings: ModelSettings
    learning_rate: float
    batch_size: int

    @staticmethod
    def of(layout: Layout, settings: ModelSettings, learning_rate: float, batch_size: int) -> "Form":
        """Returns the form of networks with these settings, whatever scores are made of them."""
        return Form(layout, settings.model_copy(update=OF_SCORES), learning_rate, batch_size)


_kept: dict[Form, Passes] = {}


def take(form: Form, seed: int) -> Passes:
    """Returns the passes of an untrained network, as the seed draws it."""
    fresh = architectures.build(form.layout, form.settings, seed)
    adam = keras.optimizers.Adam(form.learning_rate)
    fresh.compile(adam, loss=loss(form.layout, fresh), jit_compile=has_gpu())
    fresh.optimizer.build(fresh.trainable_variables)  # no variable may be made while a step is traced
    kept = _kept.pop(form, None)
    if kept is None:
        return Passes(fresh, form.layout, form.batch_size)
    _assign(kept.network.variables, fresh.variables)
    _assign(kept.network.optimizer.variables, fresh.optimizer.variables)
    return kept


def keep(form: Form, passes: Passes) -> None:
    """Keeps what is not needed any more for the next training of its form."""
    if passes.replicas == 1:  # else its variables are those of one strategy
        _kept[form] = passes
        while len(_kept) > MOST_KEPT:
            _kept.pop(next(iter(_kept)), None)


def _assign(variables: list[keras.Variable], values: list[keras.Variable]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
