"""The `nightscore` command: collects the commands of five files.

Imports nothing large, so that `--help` and `sql` answer at once.
"""

import typer

from flows.cli import maintenance, nights, registry, results, serve
from flows.console import Failing

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
    app()


if __name__ == "__main__":
    main()
