"""What a person sees: progress on standard error, results on standard output, one plain line for a failure."""

import json
import logging
import os
import sys
from collections.abc import Sequence
from datetime import date
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from flows.errors import SettingsError
from models.errors import ModelError
from tasks.errors import NightError

ROOMS = ("flows", "tasks", "models")
EXPECTED = (SettingsError, NightError, ModelError)


class Failing(TyperGroup):
    """Translates errors once, at the edge: one line and status 1; a traceback only with --debug."""

    debug = False

    @classmethod
    def set_debug(cls, value: bool) -> bool:
        cls.debug = cls.debug or value
        return value

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            self._fail(error, str(error))
        except (typer.Exit, typer.Abort, OSError) as error:
            if not isinstance(error, OSError):
                raise
            self._fail(error, f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        except Exception as error:
            if type(error).__module__.startswith(("click", "typer")):  # wrong usage: status 2
                raise
            self._fail(error, f"unexpected {type(error).__name__}: {error}; run again with --debug for the traceback")

    def _fail(self, error: Exception, line: str) -> None:
        if self.debug:
            raise error
        sys.stderr.write(f"nightscore: {' '.join(line.split())}\n")
        raise typer.Exit(1)


def show_progress() -> None:
    """Our own progress on standard error; the libraries stay quiet unless $PREFECT_LOGGING_LEVEL says otherwise.

    To be called before Prefect is imported.
    """
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "DEBUG" if Failing.debug else "CRITICAL")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    for room in ROOMS:
        logger = logging.getLogger(room)
        logger.setLevel(logging.INFO)
        logger.handlers = [handler]
        logger.propagate = False


def say(text: str) -> None:
    """One line or more on standard output."""
    sys.stdout.write(text + "\n")


def print_json(content: Any) -> None:
    """One JSON value on standard output."""

    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else str(value)

    sys.stdout.write(json.dumps(content, default=plain) + "\n")


def data_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """A table as wide as the terminal, or as wide as it needs where the output is no terminal."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else _cell(value) for value in row))
    console = Console()
    console.print(table) if console.is_terminal else Console(width=10_000).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, list):
        return "; ".join(map(_cell, value))
    if isinstance(value, dict):
        return " ".join(_cell(part) for part in value.values() if part is not None)
    return str(value)
