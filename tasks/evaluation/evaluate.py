"""A window of committed nights, evaluated by the labels known at a date, beside baselines on the same
rows.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.dates import date_range
from tasks.core.errors import EvaluationError
from tasks.core.evaluation_result import Evaluation
from tasks.core.forgotten import is_forgotten
from tasks.core.identity import run_identity
from tasks.core.populations import ALL, NEW
from tasks.core.step import step
from tasks.evaluation.comparisons import add_scores, find_comparisons
from tasks.evaluation.result_lines import alert_lines, night_lines
from tasks.evaluation.settings import EvaluationSettings, Window
from tasks.evaluation.stored_metrics import store_metrics
from tasks.evaluation.window_figures import measure_populations, ranked_rows, score_distribution, with_figures
from tasks.labels.compromised import store_compromised
from tasks.labels.known_labels import store_labels
from tasks.labels.origins import origin_notes
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import frame

SHOWN = 5  # dates of the window that a note names


@step
def evaluate(
    dataset: Dataset, warehouse: Warehouse, settings: EvaluationSettings, window: Window, staging: Path
) -> Evaluation:
    """Stores the labels that the source has added since, and evaluates the window with the version without
    label-derived features beside it; see `evaluate_window`.
    """
    if dataset.columns.label:
        store_labels(dataset, warehouse, window.first, window.last, window.as_of)
    return evaluate_window(dataset, warehouse, settings, window, staging, with_reduced=True)


def evaluate_window(
    dataset: Dataset,
    warehouse: Warehouse,
    settings: EvaluationSettings,
    window: Window,
    staging: Path,
    *,
    with_reduced: bool = False,
) -> Evaluation:
    """Returns the window's figures, with those of every baseline on the same rows, and stores them in the
    table `metrics`.

    with_reduced: whether the version without the label-derived features, which the training made, is compared
    as well.
    Raises EvaluationError where no date of the window has a committed run, or the source has changed since.
    """
    dates = {"first_date": window.first, "last_date": window.last}
    store_compromised(dataset, warehouse, window.first, window.last)
    with warehouse.reading() as con:
        runs = frame(con, "evaluation/list_window_runs", **dates)
        rows = ranked_rows(frame(con, "evaluation/list_labelled_scores", **dates, as_of=window.as_of))
        counts = frame(con, "evaluation/list_labelled_counts", **dates, as_of=window.as_of)
    if runs.is_empty():
        raise EvaluationError(
            f"{window.first}..{window.last}: no date has a committed run whose rows are kept; "
            f"score one with `nightscore run --date {window.first}`"
        )
    unlabelled = _unlabelled(dataset, settings, window, runs, rows, counts)
    uncommitted = _uncommitted(unlabelled)
    labelled = rows.filter(pl.col("label").is_not_null())
    evaluated = labelled.filter(pl.col("is_new") | (unlabelled.population == ALL))
    unknown = rows.height - labelled.height
    if labelled.is_empty():
        return replace(unlabelled, notes=(*uncommitted, _why_unlabelled(dataset, window)))
    notes = [*uncommitted]
    if unknown:
        by = f"known by {window.as_of}"
        notes.append(f"{unknown:,} scored rows have no label that was {by} and are not evaluated.")
    known = (window.first, window.last, window.as_of)
    notes += origin_notes(dataset, warehouse, known, labelled.height)
    measured = replace(
        unlabelled,
        rows_left_out=labelled.height - evaluated.height,
        figures=measure_populations(dataset, settings.top_k, labelled, unlabelled.counts),
    )
    if evaluated.is_empty():
        note = (
            f"Every labelled row of {window.first}..{window.last} is of an entity that was known to be "
            "compromised."
        )
        return replace(measured, notes=(*uncommitted, note))
    compared, missing = find_comparisons(dataset, warehouse, runs, with_reduced)
    scored = add_scores(dataset, warehouse, runs, compared, staging, evaluated)
    if forgotten := evaluated.filter(is_forgotten("id")).height:
        notes.append(f"{forgotten:,} rows were forgotten: no other detector is compared on them.")
    evaluation = with_figures(dataset, settings.top_k, measured, scored)
    evaluation = replace(evaluation, notes=(*notes, *missing, *_undefined(evaluation)))
    store_metrics(warehouse, evaluation)
    return evaluation


def _unlabelled(
    dataset: Dataset,
    settings: EvaluationSettings,
    window: Window,
    runs: pl.DataFrame,
    rows: pl.DataFrame,
    counts: pl.DataFrame,
) -> Evaluation:
    """What needs no label: the nights with their counts, the distribution of the scores, the strangest
    entities.
    """
    has_entity = bool(dataset.columns.entity)
    hashes = tuple(runs["config_hash"].unique(maintain_order=True))
    return Evaluation(
        dataset=dataset.name,
        first_date=window.first,
        last_date=window.last,
        as_of=window.as_of,
        population=settings.population(has_entity=has_entity),
        rows=rows.height,
        positives=None,
        rows_left_out=0,
        model_versions=tuple(runs["version"].unique(maintain_order=True)),
        thresholds=tuple(runs["threshold"].unique(maintain_order=True)),
        config_hashes=hashes,
        threshold_rule=dataset.threshold.rule
        if all(one in run_identity(dataset) for one in hashes)
        else None,
        nights=night_lines(runs, counts, (ALL, NEW) if has_entity else (ALL,)),
        distribution=score_distribution(rows),
        alerts=alert_lines(dataset, runs, rows),
    )


def _uncommitted(evaluation: Evaluation) -> list[str]:
    window = date_range(evaluation.first_date, evaluation.last_date)
    scored = {night.date for night in evaluation.nights}
    lacking = [day for day in window if day not in scored]
    if not lacking:
        return []
    named = ", ".join(map(str, lacking[:SHOWN])) + ", ..." * (len(lacking) > SHOWN)
    return [
        f"{len(lacking)} of the {len(window)} dates have no committed night whose rows are kept, and are in "
        f"no figure: {named}."
    ]


def _undefined(evaluation: Evaluation) -> list[str]:
    figures = evaluation.ranking.detector if evaluation.ranking else {}
    return [
        f"{name} is not defined on these rows: no frauds, or nothing flagged."
        for name, figure in figures.items()
        if figure.value is None
    ]


def _why_unlabelled(dataset: Dataset, window: Window) -> str:
    if not dataset.columns.label:
        return (
            "The dataset has no label column, and no labels were given: every figure that needs them is "
            "left out."
        )
    first_known = window.first + timedelta(days=dataset.label_delay_days)
    return (
        f"No label of the window was known by {window.as_of}; those of {window.first} are known from "
        f"the end of {first_known}."
    )
