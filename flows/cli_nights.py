"""The commands that score and train: every one imports what it needs when it runs."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.console import print_json, say, show_progress
from flows.options import AsJson, AsOf, Config, Day, Debug
from flows.server import starting_server
from flows.settings import find_config, load_settings

app = typer.Typer()


@app.command()
def run(
    day: Day,
    force: Annotated[bool, typer.Option("--force", help="Score again although the same night is committed.")] = False,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score one night and commit it.  Example: nightscore run --date 2018-07-25"""
    path = find_config(config)
    load_settings(path)
    show_progress()
    with starting_server():
        from flows.nightly import nightly

    night = nightly(path, day.date(), force)
    if as_json:
        print_json(dataclasses.asdict(night))
        return
    say(
        f"{night.date}: {night.status} as {night.run_id}. {night.rows_source:,} rows = {night.rows_scored:,} scored"
        f" + {night.rows_quarantined:,} quarantined; {night.rows_flagged:,} flagged by {night.model_version}."
    )


@app.command()
def train(as_of: AsOf, config: Config = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Train a new version and promote it.  Example: nightscore train --as-of 2018-07-25"""
    path = find_config(config)
    load_settings(path)
    show_progress()
    with starting_server():
        from flows.training import retrain

    version = retrain(path, as_of.date())
    if as_json:
        print_json(dataclasses.asdict(version))
        return
    say(
        f"{version.name}: trained on {version.first_date}..{version.last_date}, champion from {version.as_of} on; "
        f"stored in {version.path}.\nModel card: {version.card}"
    )


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo keeps its data and results.")] = Path("demo"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Simulate two months of card transactions, score the last 7 nights, judge them.  Example: nightscore demo"""
    show_progress()
    with starting_server():
        from flows.demo import play
        from flows.summary import evaluation_tables

    nights, judged, page = play(folder)
    if as_json:
        print_json(judged.to_json(str(page)))
        return
    evaluation_tables(judged)
    if all(night.status == "already committed" for night in nights):
        say(f"All {len(nights)} nights were already committed; {nights[-1].model_version} was used as it is.")
    config, program = folder / "nightscore.toml", sys.argv[0] if sys.argv[0].endswith("nightscore") else "nightscore"
    say(
        f"Report: {page}\n\nTry next:\n"
        f'  {program} sql --config {config} "from alerts limit 10"\n'
        f"  {program} train --config {config} --as-of {nights[-1].date}\n"
        f"  {program} init --path FOLDER_WITH_YOUR_PARTITIONS"
    )
