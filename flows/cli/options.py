"""The options that several commands share."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from flows.console import Failing


def instant(text: str) -> datetime:
    """Parses an instant into UTC; without a zone it is UTC, and a date alone means the end of that day.

    Raises typer.BadParameter, so exit status 2, if the text is not an instant.
    """
    try:
        return datetime.combine(date.fromisoformat(text), time.max, UTC)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text!r} is not a date or an instant; write 2026-11-20, 2026-11-20T14:00 or "
            "2026-11-20T14:00+01:00"
        ) from error


Day = Annotated[date, typer.Option("--date", parser=date.fromisoformat, help="The business date.")]
First = Annotated[date, typer.Option("--from", parser=date.fromisoformat, help="First date.")]
Last = Annotated[date, typer.Option("--to", parser=date.fromisoformat, help="Last date.")]
AsOf = Annotated[
    date,
    typer.Option(
        "--as-of",
        parser=date.fromisoformat,
        help="The business date to train for, with the labels known at its start.",
    ),
]
LabelsAsOf = Annotated[
    date | None,
    typer.Option(
        "--as-of",
        parser=date.fromisoformat,
        help="Use the labels known at the end of this date; by default today.",
    ),
]
Instant = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        parser=instant,
        metavar="T",
        help="Show what was known at this instant; UTC unless it has a zone.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="The TOML file; by default $NIGHTSCORE_CONFIG, else ./nightscore.toml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug", help="Show the traceback of a failure.", callback=Failing.set_debug, is_eager=True
    ),
]
UsePrefect = Annotated[
    bool,
    typer.Option(
        "--prefect",
        help="Run as a Prefect flow; starts a local server where no API is configured.",
    ),
]
