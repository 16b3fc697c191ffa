"""The commands that set up and maintain an installation; each imports what it needs when it runs."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.configured import is_configured, load_settings
from flows.cli.options import AsJson, Config, Debug
from flows.console import print_json, say

app = typer.Typer()


@app.command()
def doctor(config: Config = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Check versions, device, source, labels, what the next night would refuse, warehouse and disk; without a
    configuration, only the installation.

    Example: nightscore doctor
    """
    settings = load_settings(config) if config or is_configured() else None
    from flows.cli.tables import health_line
    from tasks.operations.doctor import Setup, checks
    from tasks.operations.installation import checks_without_configuration

    found = []
    for check in (
        checks(Setup(settings, settings.open_warehouse(), settings.notify))
        if settings
        else checks_without_configuration()
    ):
        found.append(check)
        if not as_json:
            health_line(check)
    if as_json:
        print_json([check.to_json() for check in found])
    if any(check.ok is False for check in found):
        raise typer.Exit(1)


@app.command()
def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a test event to each webhook.")] = False,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the webhooks that are notified when a night needs attention; with --test, try them.

    Example: nightscore notify --test
    """
    settings = load_settings(config)
    from flows.cli.tables import webhooks_table
    from tasks.notifications.notify import send_test, webhook_lines

    answers = send_test(settings.notify, settings.name) if test else []
    lines = webhook_lines(settings.notify, answers)
    if as_json:
        print_json(lines)
    else:
        webhooks_table(lines)
    if not all(answer.delivered for answer in answers):
        raise typer.Exit(1)


@app.command()
def prune(
    keep_days: Annotated[
        int | None,
        typer.Option("--keep-days", min=0, help="Drop only what became old more than this many days ago."),
    ] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", help="Instead, forget this entity, such as one card.")
    ] = None,
    scores: Annotated[
        bool, typer.Option("--scores", help="Also drop old scores and quarantined rows of current runs.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Drop what is listed; without this option, nothing is changed.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List, and with --yes drop, old staging folders, reports, artifacts that no version in use needs, and
    rows of superseded runs; or forget one entity.

    Example: nightscore prune --keep-days 90
    """
    if (keep_days is None) == (entity is None):
        raise typer.BadParameter("give either --keep-days DAYS or --entity ID")
    if entity is not None and scores:
        raise typer.BadParameter(
            "--scores belongs to --keep-days; --entity forgets the scores of the entity anyway"
        )
    settings = load_settings(config)
    from flows.cli.tables import forgetting_table, pruning_table
    from tasks.operations.forget import forget
    from tasks.operations.prune import prune

    warehouse = settings.open_warehouse()
    if keep_days is None:
        forgotten = forget(settings, warehouse, entity or "", yes=yes)
        print_json(dataclasses.asdict(forgotten)) if as_json else forgetting_table(forgotten)
        return
    pruned = prune(warehouse, keep_days, datetime.now(UTC).date(), scores=scores, yes=yes)
    if as_json:
        print_json(dataclasses.asdict(pruned))
        return
    pruning_table(pruned)


@app.command()
def init(
    path: Annotated[
        str | None, typer.Option("--path", help="A folder of Parquet or CSV files, or a pattern with {date}.")
    ] = None,
    database: Annotated[str | None, typer.Option("--database", help="A DuckDB file.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="The table in the DuckDB file.")] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="The name of the dataset and of its schema in the warehouse; else the folder's."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="The file to write; an existing file is never overwritten.")
    ] = Path("nightscore.toml"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Inspect a source, write a commented configuration for it and show what each column is taken for.

    Example: nightscore init --path data/transactions
    """
    from flows.cli.tables import guesses_table
    from flows.errors import SettingsError
    from tasks.operations.entity_behaviour import offer_behaviour
    from tasks.operations.new_configuration import render_toml
    from tasks.operations.source_inspection import look_at

    if out.exists():
        raise _not_overwritten(out)
    if out.resolve().parent != Path.cwd():  # a relative path in a configuration is relative to its file
        path, database = (
            str(Path(place).resolve()) if place and "://" not in place else place
            for place in (path, database)
        )
    look = look_at(path, database, table)
    offer, statement = offer_behaviour(look), out.with_suffix(".entity_behaviour.sql")
    if offer and statement.exists() and statement.read_text(encoding="utf-8") != offer.statement:
        raise _not_overwritten(statement)
    out.write_text(render_toml(look, name or look.name, offer, statement.name), encoding="utf-8")
    try:
        load_settings(out)
    except SettingsError:
        out.unlink()
        raise
    if offer:
        statement.write_text(offer.statement, encoding="utf-8")
    if as_json:
        offered = {"file": str(statement), "features": offer.features} if offer else None
        print_json(
            {"file": str(out), "name": name or look.name, "entity_behaviour": offered} | look.to_json()
        )
        return
    guesses_table(look)
    if offer:
        say(f"Wrote {statement}: each row against the past of its own entity; {out} says how to use it.")
    say(f"Wrote {out}. Check its guesses, then run `nightscore doctor --config {out}`.")


def _not_overwritten(file: Path) -> Exception:
    from flows.errors import SettingsError

    return SettingsError(f"{file} exists and was not overwritten; remove it, or name another file with --out")
