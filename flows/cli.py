"""The command line: the commands of five files, under one roof. Help and `sql` answer at once, for nothing large is imported here."""

import typer

from flows import cli_models, cli_nights, cli_results, cli_service, cli_upkeep
from flows.console import Failing

app = typer.Typer(
    cls=Failing,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Nightly anomaly and fraud scoring: validate, score, publish exactly once, report precision and recall.",
)
for commands in (cli_nights, cli_results, cli_models, cli_service, cli_upkeep):
    app.add_typer(commands.app)


def main() -> None:
    """The entry point of the `nightscore` command."""
    app()


if __name__ == "__main__":
    main()
