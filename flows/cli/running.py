"""What a command runs: the flows of a Prefect server where one is configured or asked for, else the plain
functions below them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows import plain
from flows.console import begin
from flows.errors import ServingError
from flows.serving.prefect_server import is_api_configured, starting_server

if TYPE_CHECKING:
    from flows.settings import Settings


@contextmanager
def chosen_runs(settings: "Settings", what: str, *, prefect: bool, spread: bool = False) -> Iterator[Any]:
    """Yields the module whose `nightly`, `catch_up`, `retrain`, `backfill`, `evaluate`, `report` a command
    calls, after a first line of progress.

    what: the command and its dates, for that line. prefect: whether a server is asked for; a local one is
    started where none is configured. spread: whether the command spreads over workers, so that Dask needs a
    server.
    """
    begin(settings.name, what)
    if not (prefect or is_api_configured() or (spread and settings.compute.engine == "dask")):
        yield plain
        return
    with starting_server():
        from flows.serving import deployments
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # it is for runs that nobody watches
        try:
            yield deployments
        except RuntimeError as error:  # as Prefect raises it
            if not str(error).startswith("Failed to reach API"):
                raise
            raise ServingError(
                f"the Prefect server at {PREFECT_API_URL.value()} does not answer; start it, or unset "
                "$PREFECT_API_URL to run without one"
            ) from error
