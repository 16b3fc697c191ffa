"""The `nightscore` command: collects the commands of seven files.

Imports nothing large, so that `--help` and `sql` answer at once.
"""

import gc
import os
import sys
from typing import Annotated

import typer

from flows.cli import answering, configuration, maintenance, nights, registry, results, serve
from flows.cli.groups import Grouped
from flows.cli.streams import open_streams
from flows.console import end_progress, say

# a collection looks at the millions of objects of the libraries: a tenth of a night's time by Python's own
gc.set_threshold(200_000, 50, 50)

app = typer.Typer(
    cls=Grouped,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (nights, results, answering, registry, serve, maintenance):
    app.add_typer(commands.app)
app.add_typer(configuration.app, name="config")


def _show_version(value: bool) -> None:
    if value:
        from tasks.warehouse.schema import product_version

        say(f"nightscore {product_version()}")
        raise typer.Exit


@app.callback()
def describe(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Nightly anomaly and fraud scoring: validate, score, publish exactly once, report precision and recall.

    To begin: nightscore demo, or nightscore init --path FOLDER for your own data.
    """


def main() -> None:
    """Runs the `nightscore` command; its entry point."""
    open_streams()
    status = 0
    try:
        app()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except OSError as error:  # help that cannot be written
        status = _unwritten(error)
    end_progress()
    _leave(status)


def _leave(status: int) -> None:
    """Ends the process at once: everything is committed and sent, and the libraries take two seconds to end.

    Prefect still has logs to send then. Output that could not be written makes it fail.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        status = status or _unwritten(error)
    if "prefect" in sys.modules:
        sys.exit(status)
    sys.stderr.flush()
    os._exit(status)


def _unwritten(error: OSError) -> int:
    """Names the output that could not be written; returns the exit status."""
    sys.stderr.write(f"nightscore: {error.strerror or error}: {error.filename or 'standard output'}\n")
    return 1


if __name__ == "__main__":
    main()
