"""How far a long step is, for whoever listens: a terminal does, a log does not."""

from collections.abc import Callable

Listener = Callable[[str, float, float], None]
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Calls the listener, from now on, with what is done: the step's name, how much of it is done, and of how
    much. A step is over when both are equal.
    """
    _listeners.append(listener)


def advance(step: str, done: float, total: float) -> None:
    """Says how far a step is. step: its name, the same each time. Called from any thread."""
    for listener in _listeners:
        listener(step, done, total)
