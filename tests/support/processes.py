"""Nights in processes of their own that start at once and can be killed: each is forked from one that has
everything imported.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["flows.nightly", "models.detector.detector", "tasks.validation.gate"])


class Running:
    """`nightly` of a date in another process.

    die_at: it kills itself when it reads its n-th SQL statement. apart: it stages its work elsewhere, as on a
    machine of its own, so that only the warehouse keeps it from doing what another does.
    """

    def __init__(self, config: Path, day: date, die_at: int | None = None, *, apart: bool = False) -> None:
        self._ours, theirs = FORKED.Pipe()
        self._process = FORKED.Process(target=_run, args=(config, day, die_at, apart, theirs))
        self._process.start()
        theirs.close()

    def kill_after(self, seconds: float) -> None:
        """Kills it after so long, unless it has ended."""
        self._process.join(seconds)
        self._process.kill()
        self._process.join()

    def outcome(self) -> str:
        """The status of its night, or what was raised; `killed` where it was."""
        try:
            return str(self._ours.recv())
        except EOFError:
            return "killed"
        finally:
            self._process.join()


def _run(config: Path, day: date, die_at: int | None, apart: bool, answer: Connection) -> None:
    import sql
    import tasks.core.staging
    from flows.plain import nightly

    if apart:
        tasks.core.staging.staging = lambda files: files / f"staging-{os.getpid()}"
    if die_at is not None:
        sql.read = _deadly(sql.read, die_at)
    try:
        answer.send(nightly(config, day).status)
    except Exception as error:
        answer.send(f"{type(error).__name__}: {error}")


def _deadly(read: Callable[[str], str], die_at: int) -> Callable[[str], str]:
    left = die_at

    def counted(name: str) -> str:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(name)

    return counted
