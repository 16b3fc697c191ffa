"""What a command runs: the flows of a Prefect server where one is configured or asked for, else the plain
functions below them.
"""

import logging
from typing import Any

from flows import plain
from flows.console import show_progress
from flows.serving.prefect_server import is_api_configured, starting_server
from flows.settings import Settings

log = logging.getLogger(__name__)


def chosen_runs(settings: Settings, what: str, *, prefect: bool, spread: bool = False) -> Any:
    """Returns the module whose `nightly`, `catch_up`, `retrain`, `backfill`, `evaluate`, `report` a command
    calls, after a first line of progress.

    what: the command and its dates, for that line. prefect: whether a server is asked for; a local one is
    started where none is configured. spread: whether the command spreads over workers, so that Dask needs a
    server.
    """
    show_progress()
    log.info("%s  %s", settings.name, what)
    if not (prefect or is_api_configured() or (spread and settings.compute.engine == "dask")):
        return plain
    with starting_server():
        from flows.serving import deployments
    return deployments
