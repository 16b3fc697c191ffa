"""The commands that evaluate and query committed nights; each imports what it needs when it runs."""

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.answers import Format, chosen_format, write_answer
from flows.cli.configured import find_config, load_settings
from flows.cli.options import (
    AsJson,
    Config,
    Day,
    Debug,
    First,
    Instant,
    LabelsAsOf,
    Last,
    UsePrefect,
    instant,
)
from flows.cli.running import chosen_runs
from flows.console import begin, print_json, say

if TYPE_CHECKING:
    from tasks.core.evaluation_result import Evaluation

app = typer.Typer()


@app.command()
def evaluate(
    first: First,
    last: Last,
    as_of: LabelsAsOf = None,
    config: Config = None,
    as_json: AsJson = False,
    prefect: UsePrefect = False,
    debug: Debug = False,
) -> None:
    """Evaluate a window of nights by its labels; nights that are not committed yet are scored first.

    Example: nightscore evaluate --from 2018-07-25 --to 2018-07-31
    """
    path = find_config(config)
    with chosen_runs(load_settings(path), f"evaluate {first}..{last}", prefect=prefect) as runs:
        evaluation, page = runs.evaluate(path, first, last, as_of)
    _show(evaluation, page, as_json)


@app.command()
def report(
    config: Config = None, as_json: AsJson = False, prefect: UsePrefect = False, debug: Debug = False
) -> None:
    """Evaluate the newest nights whose labels are known, and write their report.

    Example: nightscore report
    """
    path = find_config(config)
    with chosen_runs(load_settings(path), "report", prefect=prefect) as runs:
        evaluation, page = runs.report(path)
    _show(evaluation, page, as_json)


@app.command()
def explain(
    day: Day,
    row_id: Annotated[str, typer.Option("--id", help="The row's id.")],
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show the share of each feature in the score of one row.

    Example: nightscore explain --date 2018-07-25 --id 1106407
    """
    settings = load_settings(config)
    begin(settings.name, f"explain {day}")
    from flows.cli.tables import explanation_table
    from tasks.core.staging import scratch_folder
    from tasks.evaluation.explain import explain_row

    warehouse = settings.open_warehouse()
    with scratch_folder(settings.files) as staging:
        explained = explain_row(settings, warehouse, day, row_id, staging)
    if as_json:
        print_json(dataclasses.asdict(explained))
        return
    explanation_table(explained, settings.report.names)


@app.command()
def replay(
    day: Day,
    as_of: Annotated[
        datetime,
        typer.Option("--as-of", parser=instant, metavar="T", help="The instant; UTC unless it has a zone."),
    ],
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what a night had flagged at an instant, what its champion at that time would flag, and why the two
    differ.

    Example: nightscore replay --date 2018-07-25 --as-of 2018-08-03
    """
    settings = load_settings(config)
    begin(settings.name, f"replay {day}")
    from flows.cli.tables import replay_tables
    from tasks.core.staging import scratch_folder
    from tasks.evaluation.replay import replay

    warehouse = settings.open_warehouse()
    with scratch_folder(settings.files) as staging:
        replayed = replay(settings, warehouse, day, as_of, staging)
    if as_json:
        print_json(dataclasses.asdict(replayed))
        return
    replay_tables(replayed)


@app.command()
def sql(
    text: Annotated[str, typer.Argument(help="One query over the dataset's tables and views.")],
    as_of: Instant = None,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="By default the one that the suffix of the file names, else a table; without a terminal, "
            "tab-separated lines.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write, instead of standard output.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Query the results, read-only, as they are now or were at an instant.

    Example: nightscore sql --as-of 2026-11-20T14:00 "from alerts limit 20"
    """
    form = chosen_format(form, as_json, file)
    settings = load_settings(config)
    from tasks.warehouse.query import query

    write_answer(query(settings.open_warehouse(), text, as_of), form, file)


def _show(evaluation: "Evaluation", page: Path, as_json: bool) -> None:
    from flows.cli.tables import evaluation_tables

    if as_json:
        print_json(evaluation.to_json(str(page)))
        return
    evaluation_tables(evaluation)
    say(f"Report: {page}")
