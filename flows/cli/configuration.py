"""The commands about the configuration itself; neither opens the source or the warehouse."""

import typer

from flows.cli.configured import find_config, load_settings
from flows.cli.groups import WholeSummaries
from flows.cli.options import AsJson, Config, Debug
from flows.console import print_json, say
from flows.errors import SettingsError

app = typer.Typer(
    cls=WholeSummaries,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Check the configuration, or print its schema for editors.  Example: nightscore config check",
)


@app.command()
def check(config: Config = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Say whether the configuration is valid, or print every problem in a line of its own.

    Example: nightscore config check --config cards.toml
    """
    path, problems = find_config(config), []
    try:
        load_settings(path)
    except SettingsError as error:
        problems = list(error.problems)
    if as_json:
        print_json({"file": str(path), "ok": not problems, "problems": problems})
    else:
        say("\n".join(f"{path}: {problem}" for problem in problems or ["ok"]))
    if problems:
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration, by which editors complete and check its keys.

    Example: nightscore config schema > nightscore.schema.json
    """
    from flows.settings_schema import settings_schema

    print_json(settings_schema())
