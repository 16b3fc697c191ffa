"""The commands that tell what a row is: labels from a file, answers of analysts."""

import dataclasses
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.configured import load_settings
from flows.cli.options import AsJson, Config, Debug
from flows.console import print_json, say

app = typer.Typer()


class AnswerChoice(StrEnum):
    """What an analyst may answer."""

    fraud = "fraud"
    normal = "normal"


@app.command()
def labels(
    file: Annotated[
        Path,
        typer.Option(
            "--file",
            help="Parquet or CSV: id, label, known_at, source; partition_date if ids repeat; kind if known.",
        ),
    ],
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Record labels from a file; the next night evaluates again with them.

    Example: nightscore labels --file chargebacks.csv
    """
    settings = load_settings(config)
    from tasks.labels.label_file import record_labels

    is_private = settings.columns.id in settings.columns.private
    recorded = record_labels(settings.open_warehouse(), file, is_private=is_private)
    if as_json:
        print_json(dataclasses.asdict(recorded))
        return
    ids = ", ".join(map(repr, recorded.unknown_ids))
    such_as = f" ({ids}{', ...' * (recorded.unknown > len(recorded.unknown_ids))})"
    named = such_as if recorded.unknown_ids else ""
    left_out = (
        f"; {recorded.unknown:,} match no scored row and were left out{named}" if recorded.unknown else ""
    )
    say(f"{recorded.added:,} labels recorded, {recorded.known:,} were known already{left_out}.")


@app.command()
def answer(
    row_id: Annotated[str | None, typer.Argument(metavar="ID", help="The row's id.")] = None,
    choice: Annotated[
        AnswerChoice | None,
        typer.Argument(metavar="fraud|normal", help="What the row is.", show_choices=False),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who answers.")] = "",
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why.")] = None,
    day: Annotated[
        date | None,
        typer.Option(
            "--date",
            parser=date.fromisoformat,
            help="The date of the row; needed where ids repeat from day to day.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Parquet or CSV instead: id, answer, and if you like date and note."),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Answer an alert, or any scored row: that is a label from today on, and closes the alert.

    Example: nightscore answer 1106407 fraud --by Ada --note "the customer called"
    """
    one = (row_id, choice, note, day)
    if not by.strip():
        raise typer.BadParameter("name who answers with --by NAME")
    if file and any(value is not None for value in one):
        raise typer.BadParameter(
            "give either an id with its answer, or --file, whose columns are id, answer, date, note"
        )
    if not file and (row_id is None or choice is None):
        raise typer.BadParameter("give an id and its answer, such as 1106407 fraud, or --file")
    settings = load_settings(config)
    from tasks.labels.answers import Answered, answers_of_file, one_answer, record_answers

    lines = answers_of_file(file) if file else one_answer(row_id or "", choice or "", day, note)
    recorded: Answered = record_answers(settings, settings.open_warehouse(), lines, by.strip(), file)
    if as_json:
        print_json(dataclasses.asdict(recorded))
        return
    counts = f"{recorded.fraud:,} fraud, {recorded.normal:,} normal"
    added = recorded.fraud + recorded.normal
    say(f"Answers recorded: {added:,} ({counts}); known already: {recorded.known:,}.")
    if recorded.conflicts:
        named = f" ({'; '.join(recorded.conflict_lines)})" if recorded.conflict_lines else ""
        say(f"Rows whose labels disagree, see the view label_conflicts: {recorded.conflicts:,}{named}.")
