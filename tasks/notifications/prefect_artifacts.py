"""Artifacts that Prefect shows for a run. If its server refuses one, that is logged and stops nothing.

Outside a flow run there is nothing that could show them, and Prefect is not imported.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from uuid import UUID

from tasks.core.progress import advance
from tasks.core.references import Night
from tasks.core.step import in_flow_run

log = logging.getLogger(__name__)
STEP = 5.0  # percent between two updates of a training's progress


def show_night(dataset: str, night: Night) -> None:
    """Creates a table of one line: the outcome of the night."""
    if not in_flow_run():
        return
    from prefect.artifacts import create_table_artifact

    line = {
        "date": str(night.date),
        "status": night.status,
        "rows": night.rows_source,
        "scored": night.rows_scored,
        "quarantined": night.rows_quarantined,
        "flagged": night.rows_flagged,
        "unknown pattern": night.rows_unknown,
        "threshold": night.threshold,
        "version": night.model_version,
        "run": night.run_id,
        "doubts": "; ".join(night.doubts),
    }
    with _best_effort():
        create_table_artifact(
            [line], key=key("night", dataset), description=f"{dataset} {night.date}: {night.status}"
        )


def show_missed(dataset: str, day: date, lines: list[dict[str, str]]) -> None:
    """Creates a table of the dates before `day` that were still to be scored, with the outcome of each."""
    if lines and in_flow_run():
        from prefect.artifacts import create_table_artifact

        with _best_effort():
            create_table_artifact(
                lines, key=key("missed", dataset), description=f"{dataset}: dates before {day} that were due"
            )


def show_report(dataset: str, days: str, markdown: str) -> None:
    """Shows the figures of an evaluation. days: the evaluated dates, in words."""
    if not in_flow_run():
        return
    from prefect.artifacts import create_markdown_artifact

    with _best_effort():
        create_markdown_artifact(markdown, key=key("report", dataset), description=f"{dataset}, {days}")


class Progress:
    """The progress of a run in percent, with a description of the last step."""

    def __init__(self, kind: str, dataset: str, name: str) -> None:
        self._kind, self._name = kind, name
        self._key = key(kind, dataset)
        self._artifact: UUID | None = None
        self._is_off = not in_flow_run()  # outside a flow run, or after Prefect refused an update

    def show(self, percent: float, words: str) -> None:
        """Shows the progress to whoever listens, and in Prefect."""
        advance(f"{self._kind}  {self._name}", percent, 100)
        if self._is_off:
            return
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        self._is_off = True
        with _best_effort():
            description = f"{self._name}: {words}"
            if self._artifact is None:
                created = create_progress_artifact(percent, key=self._key, description=description)
                # The declared type includes a coroutine, which is never returned inside a flow.
                self._artifact = created if isinstance(created, UUID) else None
            else:
                update_progress_artifact(self._artifact, percent, description=description)
            self._is_off = False


class TrainingProgress:
    """The share of a training's epochs that are done. The networks of an ensemble are trained in sequence."""

    def __init__(self, dataset: str, as_of: date, members: int, epochs: int) -> None:
        self._progress = Progress("training", dataset, f"{dataset} as of {as_of}")
        self._members, self._epochs = members, epochs
        self._member = 0
        self._shown = -STEP

    def epoch(self, number: int, loss: float, validation_loss: float) -> None:
        """Records a finished epoch. number: from 1, and from 1 again for the next network."""
        self._member += number == 1
        done = 100 * (self._member - 1 + number / self._epochs) / self._members
        if done - self._shown >= STEP:
            self._shown = done
            words = (
                f"network {self._member} of {self._members}, epoch {number}: loss {loss:.4f}, held out "
                f"{validation_loss:.4f}"
            )
            self._progress.show(done, words)

    def done(self) -> None:
        """Records the end of the training, which may come before its last epoch."""
        self._progress.show(100.0, "trained")


def key(kind: str, dataset: str) -> str:
    """Returns the key of an artifact; Prefect allows lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"nightscore-{kind}-{dataset}".lower()).strip("-")


@contextmanager
def _best_effort() -> Iterator[None]:
    import httpx
    from prefect.exceptions import PrefectException

    try:
        yield
    except (httpx.HTTPError, PrefectException, OSError, RuntimeError) as error:
        log.info("Prefect refused an artifact: %s", type(error).__name__)
