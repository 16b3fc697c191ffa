"""The options that several commands share."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from flows.console import Failing

Day = Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="The business date.")]
First = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First date.")]
Last = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last date.")]
AsOf = Annotated[datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The business date whose knowledge is used.")]
LabelsAsOf = Annotated[
    datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Judge by the labels known then; today unless given.")
]
Config = Annotated[Path | None, typer.Option("--config", help="The TOML file; else $NIGHTSCORE_CONFIG, else ./nightscore.toml.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.", callback=Failing.set_debug, is_eager=True)]
