"""The flows, as the command line and the deployments run them: each a thin decorator over a plain function.

Each flow imports that function when it runs, so that a process that only serves flows, or waits for a
partition, does not load TensorFlow.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from prefect import State, flow
from prefect.states import Cancelled, Completed
from pydantic import WithJsonSchema

from flows.run_names import run_name
from flows.serving.run_logs import run_logs
from flows.serving.scheduled_night import score_scheduled
from tasks.core.errors import Overtaken
from tasks.core.references import Night, Version

if TYPE_CHECKING:
    from tasks.core.evaluation_result import Evaluation

# The pattern is needed because Prefect's form and API do not check the `format` of a schema.
DATE = {"type": "string", "format": "date", "pattern": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"}
BusinessDate = Annotated[date, WithJsonSchema(DATE)]

Result = TypeVar("Result")


def as_state(result: Result, nights: Sequence[Night]) -> Result | State[Result]:
    """Returns the result; where one of its nights is doubtful, as a run that is Completed under the name
    Doubtful.
    """
    doubts = [f"{night.date}: {night.doubt}" for night in nights if night.doubt]
    return Completed(name="Doubtful", message="; ".join(doubts), data=result) if doubts else result


@flow(name="nightly", flow_run_name=run_name)
def nightly(
    config: Path, day: BusinessDate | None = None, force: bool = False, due: bool = True
) -> Night | State[Any]:
    """Scores one partition and commits it; does nothing if the same night is committed already.

    Args:
        config: The TOML file of the dataset, as a path on the machine that runs this.
        day: The business date to score. Unless given, the date of the scheduled start, after every missed
            date before it.
        force: Score the date again even if the same night is committed.
        due: Send a notification if the source has no partition of the date.
    """
    with run_logs():
        if day is None:
            try:
                night = score_scheduled(config, nightly, force)
                return as_state(night, [night])
            except Overtaken as error:
                return Cancelled(message=str(error))
        from flows.nightly import score_night

        night = score_night(config, day, force, due)
        return as_state(night, [night])


@flow(name="catch-up", flow_run_name=run_name)
def catch_up(
    config: Path, first: BusinessDate | None = None, last: BusinessDate | None = None
) -> list[Night] | State[Any]:
    """Scores the dates that have no committed run, or whose source has changed since, each in its own run.

    Args:
        config: The TOML file of the dataset, as a path on the machine that runs this.
        first: The first business date; unless given, the first expected one.
        last: The last business date; unless given, the newest one of the source.
    """
    from flows.catch_up import score_missed

    nights = score_missed(config, first, last, night=nightly)  # type: ignore[arg-type]
    return as_state(nights, nights)


@flow(name="retrain", flow_run_name=run_name)
def retrain(config: Path, as_of: BusinessDate, promote: bool = False) -> Version:
    """Trains a version as of a business date: a challenger if there is a champion, unless it is promoted at
    once.

    Args:
        config: The TOML file of the dataset, as a path on the machine that runs this.
        as_of: The business date; the training uses the labels that were known at its start.
        promote: Make the version champion at once, instead of a challenger.
    """
    with run_logs():
        from flows.training import train_on_demand

        return train_on_demand(config, as_of, promote)


@flow(name="backfill", flow_run_name=run_name)
def backfill(config: Path, first: BusinessDate, last: BusinessDate) -> list[Night] | State[Any]:
    """Scores every date of a range that has no committed run, several at once.

    Args:
        config: The TOML file of the dataset, as a path on the machine that runs this.
        first: The first business date.
        last: The last business date.
    """
    with run_logs():
        from flows.backfill import backfill_dates

        nights = backfill_dates(config, first, last)
        return as_state(nights, nights)


@flow(name="evaluate", flow_run_name=run_name)
def evaluate(
    config: Path, first: BusinessDate, last: BusinessDate, as_of: BusinessDate | None = None
) -> "tuple[Evaluation, Path]":
    """Evaluates a window of nights against baselines; nights that are not committed yet are scored first.

    Args:
        config: The TOML file of the dataset, as a path on the machine that runs this.
        first: The first business date.
        last: The last business date.
        as_of: Use the labels known at the end of this date; today unless given.
    """
    with run_logs():
        from flows.evaluation import evaluate_nights

        return evaluate_nights(config, first, last, as_of, night=nightly)


@flow(name="report", flow_run_name=run_name)
def report(config: Path) -> "tuple[Evaluation, Path]":
    """Evaluates the newest nights whose labels are known, and writes their report page.

    Args:
        config: The TOML file of the dataset, as a path on the machine that runs this.
    """
    from flows.evaluation import evaluate_newest

    return evaluate_newest(config)
