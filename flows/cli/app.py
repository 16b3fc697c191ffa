"""The command line: the commands of five files, under one roof.

Help and `sql` answer at once, for nothing large is imported here.
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
    """The entry point of the `nightscore` command."""
    app()


if __name__ == "__main__":
    main()
