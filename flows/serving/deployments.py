"""The flows: each a thin decorator over a plain function of the same steps, for the command line and for
deployments.

Each imports its function when it runs: whoever serves these flows, or waits for a partition, has no
TensorFlow in memory.
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
from tasks.core.errors import Overtaken
from tasks.core.references import Night, Version

if TYPE_CHECKING:
    from tasks.core.evaluation_result import Evaluation

# Prefect's form and API check what a schema says, but for its `format`: so the pattern.
DATE = {"type": "string", "format": "date", "pattern": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"}
BusinessDate = Annotated[date, WithJsonSchema(DATE)]


@flow(name="nightly", flow_run_name=run_name)
def nightly(
    config: Path, day: BusinessDate | None = None, force: bool = False, due: bool = True
) -> Night | State[Any]:
    """Scores one partition and commits it, after the dates that were missed before it; the same again is a
    no-op.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
        day: The business date, which is then scored alone. Unless given: that of the scheduled start, after
            every date missed before it.
        force: Score the date again although the same night is committed.
        due: Notify where the source has no partition of the date.
    """
    with run_logs():
        if day is None:
            try:
                return score_scheduled(config, nightly, force)
            except Overtaken as error:
                return Cancelled(message=str(error))
        from flows.nightly import score_night

        return score_night(config, day, force, due)


@flow(name="catch-up", flow_run_name=run_name)
def catch_up(
    config: Path, first: BusinessDate | None = None, last: BusinessDate | None = None
) -> list[Night]:
    """Scores the dates that have no committed run, or whose source has changed since, each a run of its own.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
        first: The first business date; unless given, the first one that is expected.
        last: The last business date; unless given, the newest one of the source.
    """
    from flows.catch_up import score_missed

    return score_missed(config, first, last, night=nightly)  # type: ignore[arg-type]


@flow(name="retrain", flow_run_name=run_name)
def retrain(config: Path, as_of: BusinessDate, promote: bool = False) -> Version:
    """Trains a version as of a business date: a challenger where there is a champion, unless it is promoted
    at once.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
        as_of: The business date whose knowledge is used: labels that were known at its start.
        promote: Make it champion at once, instead of the challenger of one.
    """
    with run_logs():
        from flows.training import train_on_demand

        return train_on_demand(config, as_of, promote)


@flow(name="backfill", flow_run_name=run_name)
def backfill(config: Path, first: BusinessDate, last: BusinessDate) -> list[Night]:
    """Scores every date of a span that has no committed run, several at once.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
        first: The first business date.
        last: The last business date.
    """
    with run_logs():
        from flows.backfill import backfill_dates

        return backfill_dates(config, first, last)


@flow(name="evaluate", flow_run_name=run_name)
def evaluate(
    config: Path, first: BusinessDate, last: BusinessDate, as_of: BusinessDate | None = None
) -> "tuple[Evaluation, Path]":
    """Evaluates a window of nights beside its baselines; nights that are not committed yet are scored first.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
        first: The first business date.
        last: The last business date.
        as_of: Use the labels known at the end of this date; today unless given.
    """
    with run_logs():
        from flows.evaluation import evaluate_nights

        return evaluate_nights(config, first, last, as_of, night=nightly)


@flow(name="report", flow_run_name=run_name)
def report(config: Path) -> "tuple[Evaluation, Path]":
    """Evaluates the newest nights whose labels are known, and writes their page.

    Args:
        config: The TOML file of the dataset, as the machine that runs this sees it.
    """
    from flows.evaluation import evaluate_newest

    return evaluate_newest(config)
