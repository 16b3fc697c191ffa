"""The commands of the registry: list the versions, and choose the champion."""

import dataclasses
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.configured import load_settings
from flows.cli.options import AsJson, Config, Debug, Instant
from flows.console import print_json, say

if TYPE_CHECKING:
    from flows.settings import Settings
    from tasks.registry.promotions import Change

app = typer.Typer()
Why = Annotated[str | None, typer.Option("--why", help="The reason, stored with the promotion.")]
SHOWN = 10


@app.command()
def models(
    as_of: Instant = None, config: Config = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """List the versions: training window, latest figures, and the dates of which each is or was champion.

    Example: nightscore models --as-of 2026-11-20
    """
    settings = load_settings(config)
    from flows.cli.version_table import version_tables
    from tasks.core.identity import training_identity
    from tasks.registry.listing import list_versions

    population = settings.evaluation.population(has_entity=bool(settings.columns.entity))
    listed = list_versions(settings.open_warehouse(), population, as_of)
    if as_json:
        print_json(
            {
                "dataset": settings.name,
                "as_of": as_of,
                "population": population,
                "versions": [dataclasses.asdict(version) for version in listed],
            }
        )
        return
    reduced = settings.without_label_derived() if settings.features.label_derived else None
    version_tables(listed, training_identity(reduced).hashes if reduced else ())


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="A version that `nightscore models` lists.")],
    first: Annotated[
        date | None,
        typer.Option(
            "--from",
            parser=date.fromisoformat,
            help=(
                "The first business date of which it is champion; by default the first date that is not "
                "scored yet."
            ),
        ),
    ] = None,
    why: Why = None,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a version champion from a business date on; committed scores do not change.

    Example: nightscore promote 2018-07-25-1a2b3c4d --why "fewer false alarms"
    """
    settings = load_settings(config)
    from tasks.core.identity import training_identity
    from tasks.registry.promotions import promote_by_name

    usable = training_identity(settings).hashes
    change = promote_by_name(settings.open_warehouse(), version, first, why or "promoted by hand", usable)
    _notify_and_show(settings, change, as_json)


@app.command()
def rollback(why: Why = None, config: Config = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Restore the champion before the current one; run it again to go back one further.

    Example: nightscore rollback --why "twice the alerts"
    """
    settings = load_settings(config)
    from tasks.registry.promotions import roll_back

    _notify_and_show(
        settings,
        roll_back(settings.open_warehouse(), why or "rolled back by hand"),
        as_json,
    )


def _notify_and_show(settings: "Settings", change: "Change", as_json: bool) -> None:
    from tasks.core.identity import training_identity
    from tasks.notifications.notify import notify_promotion

    if change.done:
        notify_promotion(settings.notify, settings.name, change.version, change.effective_from, change.why)
    if as_json:
        print_json(dataclasses.asdict(change))
        return
    if not change.done:
        say(f"{change.version} is the champion of {change.effective_from} already; nothing was changed.")
    else:
        instead = f", instead of {change.before}" if change.before else ""
        say(
            f"{change.version} is champion from {change.effective_from} on{instead}; by "
            f"{change.promoted_by}: {change.why}."
        )
    if change.training_hash not in training_identity(settings):
        say("It was trained with another configuration than this one: the next night trains a new version.")
    if others := change.scored_by_others:
        named = ", ".join(f"{night.date} by {night.version}" for night in others[:SHOWN])
        more = f" and {len(others) - SHOWN:,} more" if len(others) > SHOWN else ""
        say(f"Committed nights that another version has scored: {named}{more}.")
        say(f"To score one again, run `nightscore run --force --date {others[0].date}`.")
