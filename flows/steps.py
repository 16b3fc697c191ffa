"""Times the steps of a night for the ledger, and keeps what they gave: a run that was killed goes on where
it was.
"""

import hashlib
import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from tasks.core.atomic_files import atomic_path

P = ParamSpec("P")
R = TypeVar("R")


class Steps:
    """Calls each step of one night.

    staging: the night's folder. durations: seconds by step; of a step whose result was kept, what it took
    when it was made.
    """

    def __init__(self, staging: Path, config_hash: str) -> None:
        self._staging = staging
        self._config_hash = config_hash
        self.durations: dict[str, float] = {}

    def __call__(self, step: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        started = time.perf_counter()
        try:
            return step(*args, **kwargs)
        finally:
            self.durations[_name(step)] = round(time.perf_counter() - started, 3)

    def kept(self, step: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same, for a step whose result holds for as long as what it is given: it is read where an
        earlier run has left it.

        What a step is given are the configuration and references, which name the content that they stand for.
        """
        given = hashlib.sha256(to_json([self._config_hash, args, kwargs])).hexdigest()
        path = self._staging / f"{_name(step)}.json"
        kept: TypeAdapter[tuple[str, float, R]] = TypeAdapter(tuple[str, float, _returned(step)])  # type: ignore[arg-type, misc]
        try:
            made_of, seconds, result = kept.validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            made_of = ""
        if made_of == given:
            self.durations[_name(step)] = seconds
            return result
        result = self(step, *args, **kwargs)
        with atomic_path(path) as staged:
            staged.write_bytes(kept.dump_json((given, self.durations[_name(step)], result)))
        return result


def _name(step: Callable[..., Any]) -> str:
    return getattr(step, "name", None) or step.__name__


def _returned(step: Callable[..., Any]) -> Any:
    return inspect.signature(getattr(step, "fn", step)).return_annotation
