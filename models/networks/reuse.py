"""Networks to train, of which a process keeps one of each form: its training step is traced once.

Tracing takes longer than training a small network.
"""

from dataclasses import dataclass

from models.device import has_gpu, keras
from models.encoding.layout import Layout
from models.networks import architectures
from models.networks.residuals import loss
from models.settings import ModelSettings

MOST_KEPT = 8


@dataclass(frozen=True)
class Form:
    """What networks have in common whose training step is the same. steps: per call into TensorFlow."""

    layout: Layout
    settings: ModelSettings
    learning_rate: float
    steps: int


_kept: dict[Form, keras.Model] = {}


def take(form: Form, seed: int) -> keras.Model:
    """Returns an untrained, compiled network, as the seed draws it."""
    fresh = architectures.build(form.layout, form.settings, seed)
    kept = _kept.pop(form, None)
    if kept is None:
        fresh.compile(
            _optimizer(form, fresh),
            loss=loss(form.layout, fresh),
            jit_compile=has_gpu(),
            steps_per_execution=form.steps,
        )
        return fresh
    _assign(kept.variables, fresh.variables)
    _assign(kept.optimizer.variables, _optimizer(form, fresh).variables)
    return kept


def keep(form: Form, network: keras.Model) -> None:
    """Keeps a network that is not needed any more for the next training of its form."""
    if network.distribute_strategy.num_replicas_in_sync == 1:  # else its variables are those of one strategy
        _kept[form] = network
        while len(_kept) > MOST_KEPT:
            _kept.pop(next(iter(_kept)), None)


def _optimizer(form: Form, network: keras.Model) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.Adam(form.learning_rate)
    optimizer.build(network.trainable_variables)  # else the training step is traced twice
    return optimizer


def _assign(variables: list[keras.Variable], values: list[keras.Variable]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
