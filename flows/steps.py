"""Times the steps of a flow, for the ledger."""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Steps:
    """Calls each step and remembers how long it took; `durations` maps a step's name to seconds."""

    def __init__(self) -> None:
        self.durations: dict[str, float] = {}

    def __call__(self, step: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        started = time.perf_counter()
        try:
            return step(*args, **kwargs)
        finally:
            name = getattr(step, "name", None) or step.__name__
            self.durations[name] = round(time.perf_counter() - started, 3)
