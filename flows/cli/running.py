"""What a command runs: the flows of a Prefect server where one is configured or asked for, else the plain
functions below them.
"""

from typing import Any

from click import get_current_context

from flows import plain
from flows.console import begin
from flows.serving.prefect_server import is_api_configured, starting_server
from flows.settings import Settings


def chosen_runs(settings: Settings, what: str, *, prefect: bool, spread: bool = False) -> Any:
    """Returns the module whose `nightly`, `catch_up`, `retrain`, `backfill`, `evaluate`, `report` a command
    calls, after a first line of progress.

    what: the command and its dates, for that line. prefect: whether a server is asked for; a local one is
    started where none is configured. spread: whether the command spreads over workers, so that Dask needs a
    server.
    """
    begin(settings.name, what)
    if not (prefect or is_api_configured() or (spread and settings.compute.engine == "dask")):
        return plain
    with starting_server():
        from flows.serving import deployments
    _without_heartbeat()
    return deployments


def _without_heartbeat() -> None:
    """Switches Prefect's heartbeat off for the length of the command: it is for runs that nobody watches."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    get_current_context().with_resource(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
