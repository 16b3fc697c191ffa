"""The command `serve`, which runs until Ctrl-C or SIGTERM."""

import os
import signal
from contextlib import nullcontext
from typing import Any, NoReturn

import typer

from flows.cli.configured import find_config, load_settings
from flows.cli.options import Config, Debug
from flows.console import say

app = typer.Typer()


@app.command()
def serve(config: Config = None, debug: Debug = False) -> None:
    """Run the nights on their schedule, and training, backfills and evaluations on demand from Prefect.

    Uses the Prefect server or cloud that $PREFECT_API_URL names, or else starts a server.  Example:
    nightscore serve
    """
    path = find_config(config)
    settings = load_settings(path)
    signal.signal(signal.SIGTERM, _end)
    os.environ.setdefault(
        "PREFECT_LOGGING_LEVEL", "DEBUG" if debug else "CRITICAL"
    )  # Nightscore prints its own lines
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    from prefect.context import refresh_global_settings_context
    from prefect.settings import PREFECT_API_URL

    from flows.serving.prefect_server import local_server

    with nullcontext() if PREFECT_API_URL.value() else local_server(settings.schedule.port) as address:
        if address:
            say(
                f"Prefect server started at {address}; for other shells: export PREFECT_API_URL={address}/api"
            )
            os.environ["PREFECT_API_URL"] = f"{address}/api"
            refresh_global_settings_context()
        from flows.serving.runner import serve_dataset

        serve_dataset(path, settings)


def _end(*_: Any) -> NoReturn:
    """Exits normally, so that a server that this command started is stopped too."""
    raise SystemExit(0)
