"""The commands that score and train; each imports what it needs when it runs."""

import dataclasses
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from flows.cli.configured import find_config, load_settings
from flows.cli.options import AsJson, AsOf, Config, Day, Debug, First, Last, UsePrefect
from flows.cli.running import chosen_runs
from flows.console import print_json, say, show_progress
from tasks.core.errors import NightError
from tasks.core.references import of_unknown_pattern

if TYPE_CHECKING:
    from tasks.core.references import Night

app = typer.Typer()
DOUBTFUL = 3  # exit status: committed or held, but doubtful


@app.command()
def run(
    day: Day,
    force: Annotated[
        bool, typer.Option("--force", help="Score again even if the same night is committed.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
    prefect: UsePrefect = False,
    debug: Debug = False,
) -> None:
    """Score one night and commit it.  Example: nightscore run --date 2018-07-25"""
    path = find_config(config)
    with chosen_runs(load_settings(path), f"run {day}", prefect=prefect) as runs:
        night = cast("Night", runs.nightly(path, day, force))
    if as_json:
        print_json(dataclasses.asdict(night))
    else:
        _show_night(night)
    _end_doubtful([night])


@app.command(name="catch-up")
def catch_up(
    first: Annotated[
        date | None,
        typer.Option("--from", parser=date.fromisoformat, help="First date; else the first scored date."),
    ] = None,
    last: Annotated[
        date | None, typer.Option("--to", parser=date.fromisoformat, help="Last date; else the newest date.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
    prefect: UsePrefect = False,
    debug: Debug = False,
) -> None:
    """Score the dates that were never scored, and rescore those whose source has changed.

    Example: nightscore catch-up --from 2018-07-01
    """
    path = find_config(config)
    with chosen_runs(load_settings(path), "catch-up", prefect=prefect) as runs:
        nights = runs.catch_up(path, first, last)
    _show_nights(nights, as_json, "Nothing to do: every date is scored, and no source has changed since.")
    _end_doubtful(nights)


@app.command()
def backfill(
    first: First,
    last: Last,
    config: Config = None,
    as_json: AsJson = False,
    prefect: UsePrefect = False,
    debug: Debug = False,
) -> None:
    """Score every date of a range that was never scored, several at once.

    Example: nightscore backfill --from 2018-06-01 --to 2018-06-30
    """
    if first > last:
        raise typer.BadParameter(f"--from {first} is after --to {last}")
    path = find_config(config)
    with chosen_runs(load_settings(path), f"backfill {first}..{last}", prefect=prefect, spread=True) as runs:
        nights = runs.backfill(path, first, last)
    _show_nights(nights, as_json, "Nothing to do: every date of the source in this range is scored.")
    _end_doubtful(nights)


@app.command()
def publish(
    accept: Annotated[
        date | None,
        typer.Option(
            "--accept",
            parser=date.fromisoformat,
            metavar="DATE",
            help="Commit the held night of this date, or note that its committed night is right.",
        ),
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who accepts the night.")] = None,
    discard: Annotated[
        date | None,
        typer.Option(
            "--discard", parser=date.fromisoformat, metavar="DATE", help="Drop the held night of this date."
        ),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Commit the scored nights that wait because the warehouse was held; accept or discard a doubtful night.

    Example: nightscore publish --accept 2018-07-25 --by "Ada"
    """
    if accept and discard:
        raise typer.BadParameter("give --accept or --discard, not both")
    if bool(accept) != bool(by):
        raise typer.BadParameter("--accept DATE and --by NAME belong together")
    settings = load_settings(config)
    show_progress()
    if accept and by:
        from flows.held_nights import accept_held

        _show_nights([accept_held(settings, accept, by)], as_json, "")
        return
    if discard:
        from flows.held_nights import discard_held

        dropped = discard_held(settings, discard)
        if as_json:
            print_json({"date": discard, "run_id": dropped, "status": "discarded"})
        else:
            say(f"{discard}: {dropped} was discarded.")
        return
    from tasks.publishing.held import name_held
    from tasks.publishing.publish import publish_waiting, waiting_folders

    warehouse = settings.open_warehouse()
    nights = publish_waiting(settings, warehouse, settings.evaluation.brake)
    name_held(warehouse)
    _show_nights(nights, as_json, "No scored night waits for its commit.")
    if left := waiting_folders(settings.files):
        raise NightError(
            f"{len(left)} scored nights could not be committed "
            f"({', '.join(folder.name for folder in left)}); the log above has the reasons"
        )
    _end_doubtful(nights)


@app.command()
def train(
    as_of: AsOf,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make it champion at once, instead of a challenger.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
    prefect: UsePrefect = False,
    debug: Debug = False,
) -> None:
    """Train a new version, which becomes a challenger if there is a champion.

    Example: nightscore train --as-of 2018-07-25
    """
    path = find_config(config)
    settings = load_settings(path)
    with chosen_runs(settings, f"train {as_of}", prefect=prefect) as runs:
        version = runs.retrain(path, as_of, promote)
    from tasks.registry.versions import find_champion

    champion = find_champion(settings, settings.open_warehouse(), version.as_of)
    if as_json:
        print_json(dataclasses.asdict(version) | {"champion": champion.name if champion else None})
        return
    beside = (
        f"a challenger of {champion.name}"
        if champion
        else "not champion yet (`nightscore promote` makes it champion)"
    )
    state = f"champion from {version.as_of} on" if champion == version else beside
    say(
        f"{version.name}: trained on {version.first_date}..{version.last_date}, {state}; stored in "
        f"{version.path}."
    )
    say(f"Model card: {version.card}")


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option("--folder", help="The folder for the data and results of the demo.")
    ] = Path("demo"),
    as_json: AsJson = False,
    prefect: UsePrefect = False,
    debug: Debug = False,
) -> None:
    """Simulate two months of card transactions, then score and evaluate the last 7 nights.

    Example: nightscore demo
    """
    show_progress()
    from flows.demo import play, prepare

    with chosen_runs(load_settings(prepare(folder)), "demo", prefect=prefect) as runs:
        nights, evaluation, page = play(folder, runs.nightly, runs.evaluate)
    from flows.cli.tables import evaluation_tables

    if as_json:
        print_json(evaluation.to_json(str(page)))
        _end_doubtful(nights)
        return
    evaluation_tables(evaluation)
    if all(night.status == "already committed" for night in nights):
        say(f"All {len(nights)} nights were already committed; {nights[-1].model_version} was reused.")
    config, program = (
        folder / "nightscore.toml",
        sys.argv[0] if sys.argv[0].endswith("nightscore") else "nightscore",
    )
    say(
        f"Report: {page}\n\nTry next:\n"
        f'  {program} sql --config {config} "from alerts limit 10"\n'
        f"  {program} train --config {config} --as-of {nights[-1].date}\n"
        f"  {program} init --path FOLDER_WITH_YOUR_PARTITIONS"
    )
    _end_doubtful(nights)


def _show_nights(nights: "list[Night]", as_json: bool, nothing: str) -> None:
    if as_json:
        print_json([dataclasses.asdict(night) for night in nights])
        return
    for night in nights:
        _show_night(night)
    if not nights:
        say(nothing)


def _show_night(night: "Night") -> None:
    say(
        f"{night.date}: {night.status} as {night.run_id}. {night.rows_source:,} rows = "
        f"{night.rows_scored:,} scored"
        f" + {night.rows_quarantined:,} quarantined; {night.rows_flagged:,} flagged by {night.model_version}"
        f"{of_unknown_pattern(night.rows_unknown)}."
    )
    if night.replaces:
        say(f"{night.date}: it supersedes {night.replaces}.")
    if night.doubt:
        say(f"{night.date}: doubtful: {night.doubt}.")


def _end_doubtful(nights: "list[Night]") -> None:
    """Ends with status 3 where a night is doubtful and nobody has accepted it."""
    if any(night.doubt for night in nights):
        raise typer.Exit(DOUBTFUL)
