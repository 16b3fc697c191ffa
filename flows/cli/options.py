"""The options that several commands share."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from flows.console import Failing


def instant(text: str) -> datetime:
    """An instant of the machine's clock, with its zone: UTC unless it names one; a date alone is the end of
    that day.

    Raises typer.BadParameter, which is wrong usage.
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
            f"{text!r} is no instant; write 2026-11-20, 2026-11-20T14:00 or 2026-11-20T14:00+01:00"
        ) from error


Day = Annotated[date, typer.Option("--date", parser=date.fromisoformat, help="The business date.")]
First = Annotated[date, typer.Option("--from", parser=date.fromisoformat, help="First date.")]
Last = Annotated[date, typer.Option("--to", parser=date.fromisoformat, help="Last date.")]
AsOf = Annotated[
    date,
    typer.Option("--as-of", parser=date.fromisoformat, help="The business date whose knowledge is used."),
]
LabelsAsOf = Annotated[
    date | None,
    typer.Option(
        "--as-of", parser=date.fromisoformat, help="Judge by the labels known then; today unless given."
    ),
]
Instant = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        parser=instant,
        metavar="T",
        help="What was known at this instant, UTC unless it names a zone.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="The TOML file; else $NIGHTSCORE_CONFIG, else ./nightscore.toml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug", help="Show the traceback of a failure.", callback=Failing.set_debug, is_eager=True
    ),
]
