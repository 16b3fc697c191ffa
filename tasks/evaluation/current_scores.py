"""The committed scores of a date as a frame."""

from datetime import date

import polars as pl

from tasks.core.errors import EvaluationError
from tasks.evaluation.baseline_scores import rows_pruned
from tasks.warehouse.connection import Warehouse


def read_scores(warehouse: Warehouse, day: date) -> pl.DataFrame:
    """Returns the rows of the view `scores` for a date, the highest score first.

    Raises EvaluationError where no night of the date is committed, or its rows were pruned.
    """
    run = warehouse.row("evaluation/find_run_as_of", partition_date=day)
    if run is None:
        raise EvaluationError(f"{day}: no night is committed; run `nightscore run --date {day}`")
    if run["pruned_at"]:
        raise rows_pruned(day, run["run_id"])
    return warehouse.frame("evaluation/list_current_scores", partition_date=day)
