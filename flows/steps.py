"""Times the steps of a night for the ledger, and keeps their results: a run that was killed goes on where it
was.
"""

import hashlib
import inspect
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from tasks.core.atomic_files import atomic_path
from tasks.core.dataset import Dataset
from tasks.core.identity import run_identity
from tasks.core.step import Step

P = ParamSpec("P")
R = TypeVar("R")


class Steps:
    """Calls each step of one night.

    staging: the night's folder. started_at: instant, UTC. durations: seconds by step; of a step whose result
    was kept, what it took when it was made.
    """

    def __init__(self, staging: Path, dataset: Dataset) -> None:
        self.staging = staging
        self.started_at = datetime.now(UTC)
        self.durations: dict[str, float] = {}
        self._config_hash = run_identity(dataset).current

    def __call__(self, step: Step[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        started = time.perf_counter()
        try:
            return step(*args, **kwargs)
        finally:
            self.durations[step.name] = round(time.perf_counter() - started, 3)

    def kept(self, step: Step[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same, for a step whose result depends on its arguments alone: it is read where an earlier run
        left it.

        The arguments are the configuration and references, which name the content that they stand for.
        """
        # Another DuckDB may hash rows differently.
        given = hashlib.sha256(
            to_json([metadata.version("duckdb"), self._config_hash, args, kwargs])
        ).hexdigest()
        path = self.staging / f"{step.name}.json"
        returned: Any = tuple[str, float, inspect.signature(step.plain).return_annotation]  # type: ignore[misc]
        kept: TypeAdapter[tuple[str, float, R]] = TypeAdapter(returned)
        try:
            made_of, seconds, result = kept.validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            made_of = ""
        if made_of == given:
            self.durations[step.name] = seconds
            return result
        result = self(step, *args, **kwargs)
        with atomic_path(path) as staged:
            staged.write_bytes(kept.dump_json((given, self.durations[step.name], result)))
        return result
