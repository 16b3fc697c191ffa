"""The flows that deployments run.

Each imports what it needs when it runs: whoever serves them, or waits, has no TensorFlow in memory.
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from prefect import State, flow
from prefect.states import Cancelled
from pydantic import WithJsonSchema

from flows.run_names import run_name
from flows.serving.run_logs import run_logs
from flows.serving.scheduled_night import score_scheduled
from flows.settings import load_settings
from tasks.core.errors import Overtaken
from tasks.core.references import Night, Version
from tasks.operations.liveness import live_run

if TYPE_CHECKING:
    from tasks.core.evaluation_result import Evaluation

# Prefect's form and API check what a schema says, but for its `format`: so the pattern.
DATE = {"type": "string", "format": "date", "pattern": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"}
BusinessDate = Annotated[date, WithJsonSchema(DATE)]


@flow(name="nightly", flow_run_name=run_name)
def nightly(config: Path, day: BusinessDate | None = None, force: bool = False) -> Night | State[Any]:
    """Scores one partition and commits it, after the dates that were missed before it; the same again is a
    no-op.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
        day: The business date, which is then scored alone. Unless given: that of the scheduled start, after
        every date missed before it.
        force: Score the date again although the same night is committed.
    """
    settings = load_settings(config)
    with run_logs(), live_run(settings.files):
        try:
            return score_scheduled(config, settings, day, force)
        except Overtaken as error:
            return Cancelled(message=str(error))


@flow(name="retrain", flow_run_name=run_name)
def retrain(config: Path, as_of: BusinessDate, promote: bool = False) -> Version:
    """Trains a version as of a business date: a challenger where there is a champion, unless it is to be
    promoted at once.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
        as_of: The business date whose knowledge is used: labels that were known at its start.
        promote: Make it champion at once, instead of the challenger of one.
    """
    from flows import training

    with run_logs():
        return training.retrain.fn(config, as_of, promote)


@flow(name="backfill", flow_run_name=run_name)
def backfill(config: Path, first: BusinessDate, last: BusinessDate) -> list[Night]:
    """Scores every date of a span that has no committed run, several at once.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
        first: The first business date.
        last: The last business date.
    """
    from flows import backfill

    with run_logs():
        return backfill.backfill.fn(config, first, last)


@flow(name="evaluate", flow_run_name=run_name)
def evaluate(
    config: Path, first: BusinessDate, last: BusinessDate, as_of: BusinessDate | None = None
) -> "tuple[Evaluation, Path]":
    """Judges a window of nights beside its baselines; nights that are not committed yet are scored first.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
        first: The first business date.
        last: The last business date.
        as_of: Judge by the labels known at the end of this date; today unless given.
    """
    from flows import evaluation

    with run_logs():
        return evaluation.evaluate_window.fn(config, first, last, as_of)
