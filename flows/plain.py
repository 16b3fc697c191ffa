"""The commands without Prefect: the plain functions below the flows, with the same steps, retries and ledger.

They have the names and parameters of the flows in `flows.serving.deployments`. Each imports what it runs when
it is called, so that a process loads only what it needs.
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.core.evaluation_result import Evaluation
    from tasks.core.references import Night, Version


def nightly(config: Path, day: date, force: bool = False, due: bool = True) -> "Night":
    """Scores one partition and commits it; see flows.nightly.score_night."""
    from flows.nightly import score_night

    return score_night(config, day, force, due)


def catch_up(config: Path, first: date | None = None, last: date | None = None) -> "list[Night]":
    """Scores the dates that were missed or have changed; see flows.catch_up.score_missed."""
    from flows.catch_up import score_missed

    return score_missed(config, first, last)


def retrain(config: Path, as_of: date, promote: bool = False) -> "Version":
    """Trains a version on demand; see flows.training.train_on_demand."""
    from flows.training import train_on_demand

    return train_on_demand(config, as_of, promote)


def backfill(config: Path, first: date, last: date) -> "list[Night]":
    """Scores every date of a range that has no committed run; see flows.backfill.backfill_dates."""
    from flows.backfill import backfill_dates

    return backfill_dates(config, first, last)


def evaluate(config: Path, first: date, last: date, as_of: date | None = None) -> "tuple[Evaluation, Path]":
    """Evaluates a window of nights; see flows.evaluation.evaluate_nights."""
    from flows.evaluation import evaluate_nights

    return evaluate_nights(config, first, last, as_of)


def report(config: Path) -> "tuple[Evaluation, Path]":
    """Evaluates the newest nights whose labels are known; see flows.evaluation.evaluate_newest."""
    from flows.evaluation import evaluate_newest

    return evaluate_newest(config)
