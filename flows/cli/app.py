"""The `nightscore` command: collects the commands of five files.

Imports nothing large, so that `--help` and `sql` answer at once.
"""

import os
import sys
from contextlib import suppress

import typer

from flows.cli import maintenance, nights, registry, results, serve
from flows.console import Failing, end_progress

app = typer.Typer(
    cls=Failing,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "Nightly anomaly and fraud scoring: validate, score, publish exactly once, report precision and "
        "recall."
    ),
)
for commands in (nights, results, registry, serve, maintenance):
    app.add_typer(commands.app)


def main() -> None:
    """Runs the `nightscore` command; its entry point."""
    try:
        app()
    except SystemExit as ended:
        end_progress()
        _leave(ended.code if isinstance(ended.code, int) else int(ended.code is not None))


def _leave(status: int) -> None:
    """Ends the process at once: everything is committed and sent, and the libraries take two seconds to end.

    Prefect still has logs to send then.
    """
    if "prefect" in sys.modules:
        sys.exit(status)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
