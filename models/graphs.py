"""Compiled graphs of networks, shared by all networks that differ in their weights alone.

Tracing and compiling a graph takes longer than scoring a night of ten thousand rows. So weights are arguments
of a graph, and a process traces it once, however many versions it trains, checks and scores with.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from models.device import GRAPHS, keras, tf
from models.graph_cache import empty

Tensors = tuple[tf.Tensor, ...]


class Graph:
    """A function of tensors, compiled by XLA at its first call, for each shape of its arguments.

    XLA compiles on every device: so a row's result is the same to the last bit in any batch and position,
    which TensorFlow's own matrix product does not guarantee.
    """

    def __init__(self, function: Callable[..., Tensors]) -> None:
        self._function = function
        self._compiled = self._compile()

    def __call__(self, *arguments: Any) -> Tensors:
        try:
            return self._called(*arguments)
        except tf.errors.OpError as error:
            if GRAPHS is None or isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            empty(GRAPHS)  # one of its entries may be damaged
            self._compiled = self._compile()
            return self._called(*arguments)

    def _called(self, *arguments: Any) -> Tensors:
        found: Tensors = self._compiled(*arguments)
        return found

    def _compile(self) -> Any:
        return tf.function(self._function, jit_compile=True, autograph=False)


def form(network: keras.Model) -> str:
    """Returns what networks that differ in their weights alone have in common: the configuration of every
    layer, without the seed of its first weights and of its noise in training, as JSON.
    """
    positions = {operation.name: f"#{position}" for position, operation in enumerate(network.operations)}

    def numbered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: numbered(each) for key, each in value.items() if key != "seed"}
        if isinstance(value, list):
            return [numbered(each) for each in value]
        return positions.get(value, value) if isinstance(value, str) else value

    return json.dumps(numbered(json.loads(network.to_json())))


def weights(networks: Sequence[keras.Model]) -> list[list[tf.Tensor]]:
    """Returns the weights of each network, for `weighing`."""
    return [[weight.value for weight in network.weights] for network in networks]


@contextmanager
def weighing(networks: Sequence[keras.Model], given: Sequence[Sequence[tf.Tensor]]) -> Iterator[None]:
    """Has the networks calculate with the given weights; see `weights`."""
    pairs = [
        (own, other)
        for network, values in zip(networks, given, strict=True)
        for own, other in zip(network.weights, values, strict=True)
    ]
    with keras.StatelessScope(pairs):
        yield
