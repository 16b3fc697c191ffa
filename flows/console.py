"""What a person sees: progress on standard error, results on standard output, one plain line for a
failure.
"""

import json
import logging
import math
import os
import sys
from datetime import date
from typing import TYPE_CHECKING, Any, TextIO

import typer
from typer.core import TyperGroup

from flows.errors import ComputeError, ServingError, SettingsError
from models.errors import ModelError
from tasks.core.errors import NightError, QueryFailed, first_line, is_full
from tasks.core.progress import listen

if TYPE_CHECKING:
    from flows.terminal_progress import TerminalProgress

log = logging.getLogger(__name__)
ROOMS = ("flows", "tasks", "models")
EXPECTED = (SettingsError, ServingError, ComputeError, NightError, ModelError)
_bars: "list[TerminalProgress]" = []


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
            if is_full(error):
                self._fail(error, f"{first_line(error)}; make some space and run again")
            self._fail(
                error, f"unexpected {type(error).__name__}: {error}; run again with --debug for the traceback"
            )

    def _fail(self, error: Exception, line: str) -> None:
        end_progress()
        if self.debug:
            raise error
        if not isinstance(error, QueryFailed):  # its lines point at the place in the query
            line = " ".join(line.split())
        sys.stderr.write(f"nightscore: {line}\n")
        raise typer.Exit(1)


def show_progress() -> None:
    """Our own progress on standard error; the libraries stay quiet unless $PREFECT_LOGGING_LEVEL says
    otherwise.

    To be called before Prefect is imported.
    """
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "DEBUG" if Failing.debug else "CRITICAL")
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    for room in ROOMS:
        logger = logging.getLogger(room)
        logger.setLevel(logging.INFO)
        logger.handlers = [handler]
        logger.propagate = False


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at the moment: a progress bar takes its place while it is shown."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard error."""
        return sys.stderr


def begin(dataset: str, what: str) -> None:
    """Shows our own progress, from a first line on: what the command does, for those that take seconds."""
    show_progress()
    log.info("%s  %s", dataset, what)
    if sys.stderr.isatty():
        from flows.terminal_progress import TerminalProgress

        bars = TerminalProgress()
        listen(bars)
        _bars.append(bars)


def end_progress() -> None:
    """Gives the terminal back as it was; to be called at the end of a command, however it ends."""
    for bars in _bars:
        bars.stop()


def say(text: str) -> None:
    """One line or more on standard output, at once: a pipe would keep them until the command ends."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_json(content: Any) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(json_text(content) + "\n")


def json_text(content: Any) -> str:
    """A value as JSON in one line; JSON has no NaN and no infinite number, so they are null."""

    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else str(value)

    try:
        return json.dumps(content, default=plain, allow_nan=False)
    except ValueError:  # as json refuses them
        return json.dumps(_finite(content), default=plain, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
