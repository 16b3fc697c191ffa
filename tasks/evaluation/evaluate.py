"""A window of committed nights, evaluated by the labels known at a date, beside baselines on the same
rows.
"""

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from models.evaluation.curves import curves, distribution
from models.evaluation.metrics import RANKING, LabelledRows, confusion, measure, metrics
from tasks.core.dataset import Dataset
from tasks.core.errors import EvaluationError
from tasks.core.evaluation_result import DETECTOR, Evaluation, Figure, Ranking
from tasks.core.identity import run_identity
from tasks.core.step import step
from tasks.evaluation.baseline_scores import (
    REDUCED,
    Compared,
    fit_baselines,
    fit_reduced,
    score_all,
    stored_features,
)
from tasks.evaluation.result_lines import alert_lines, labelled_night, night_line
from tasks.evaluation.settings import EvaluationSettings, Window
from tasks.labels.known_labels import known_compromised, store_labels
from tasks.registry.versions import find_reduced_version, stored_version
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute, frame

log = logging.getLogger(__name__)
KEYS = ("partition_date", "id", "entity", "score", "p_value", "is_flagged", "reasons", "label", "weight")


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
    with warehouse.reading() as con:
        runs = frame(con, "evaluation/list_window_runs", **dates)
        rows = frame(con, "evaluation/list_labelled_scores", **dates, as_of=window.as_of)
    if runs.is_empty():
        raise EvaluationError(
            f"{window.first}..{window.last}: no date has a committed run whose rows are kept; "
            f"score one with `nightscore run --date {window.first}`"
        )
    hashes = tuple(runs["config_hash"].unique(maintain_order=True))
    unlabelled = Evaluation(
        dataset=dataset.name,
        first_date=window.first,
        last_date=window.last,
        as_of=window.as_of,
        rows=rows.height,
        positives=None,
        rows_left_out=0,
        model_versions=tuple(runs["version"].unique(maintain_order=True)),
        thresholds=tuple(runs["threshold"].unique(maintain_order=True)),
        config_hashes=hashes,
        threshold_rule=dataset.threshold.rule
        if all(one in run_identity(dataset) for one in hashes)
        else None,
        nights=tuple(night_line(run) for run in runs.iter_rows(named=True)),
        distribution=distribution(rows["score"].cast(pl.Float64).to_numpy(), None),
        alerts=alert_lines(dataset.columns.private, dataset.columns.entity or dataset.columns.id, rows),
    )
    labelled = rows.filter(pl.col("label").is_not_null())
    if labelled.is_empty():
        return replace(unlabelled, notes=(_why_unlabelled(dataset, window),))
    evaluated = labelled
    if settings.exclude_known_compromised and dataset.columns.entity:
        evaluated = labelled.filter(~known_compromised(dataset, warehouse, labelled, runs["first_date"][0]))
    if evaluated.is_empty():
        note = (
            f"Every labelled row of {window.first}..{window.last} is of an entity that was known to be "
            "compromised."
        )
        return replace(unlabelled, notes=(note,))
    notes = []
    if unknown := rows.height - labelled.height:
        notes.append(
            f"{unknown:,} scored rows have no label that was known by {window.as_of} and are not evaluated."
        )
    compared, missing = _comparisons(dataset, warehouse, runs, with_reduced)
    scored = _add_scores(dataset, warehouse, runs, compared, staging, evaluated)
    evaluation = _measure(dataset, settings, unlabelled, scored, [*notes, *missing])
    evaluation = replace(evaluation, rows_left_out=labelled.height - evaluated.height)
    _store(warehouse, evaluation)
    return evaluation


def _measure(
    dataset: Dataset, settings: EvaluationSettings, found: Evaluation, scored: pl.DataFrame, notes: list[str]
) -> Evaluation:
    """The evaluation with the figures of these rows."""
    labelled = _labelled_rows(dataset, scored, "score")
    ranking, reduced = _rankings(dataset, settings, scored)
    notes = notes + [
        f"{name} is not defined on these rows: no frauds, or nothing flagged."
        for name, figure in ranking.detector.items()
        if figure.value is None
    ]
    lines = {DETECTOR: curves(labelled)} | {
        name: curves(_labelled_rows(dataset, scored, name)) for name in ranking.baselines
    }
    return replace(
        found,
        rows=scored.height,
        positives=int(scored["label"].sum()),
        ranking=ranking,
        without_label_derived=reduced,
        confusion=confusion(labelled),
        curves={name: line for name, line in lines.items() if line},
        distribution=distribution(labelled.scores, labelled.labels, labelled.weights),
        nights=tuple(labelled_night(night, scored) for night in found.nights),
        weighted=bool(dataset.columns.weight),
        notes=tuple(notes),
    )


def _rankings(
    dataset: Dataset, settings: EvaluationSettings, scored: pl.DataFrame
) -> tuple[Ranking, Ranking | None]:
    """The figures of the detector and its baselines, and of the reduced detector and its own, where there is
    one.
    """
    everything = metrics(settings.top_k)
    by_score = {
        name: metric
        for name, metric in everything.items()
        if name in RANKING or name.startswith("card_precision")
    }

    def figures(prefix: str) -> dict[str, dict[str, Figure]]:
        columns = _columns(scored, prefix)
        return {
            name: measure(_labelled_rows(dataset, scored, column), by_score, replicates=0)
            for name, column in columns.items()
        }

    own = Ranking(measure(_labelled_rows(dataset, scored, "score"), everything), figures(""))
    reduced = figures(REDUCED)
    return own, Ranking(reduced.pop(DETECTOR), reduced) if reduced else None


def _comparisons(
    dataset: Dataset, warehouse: Warehouse, runs: pl.DataFrame, with_reduced: bool
) -> tuple[dict[str, list[Compared]], list[str]]:
    """What each version of the runs is compared with, and in a sentence what is missing.

    The reduced detectors are compared where every version has one.
    """
    versions = {run["version"]: run for run in runs.iter_rows(named=True)}
    compared = {name: [fit_baselines(stored_version(warehouse, run))] for name, run in versions.items()}
    if not (with_reduced and dataset.features.label_derived):
        return compared, []
    reduced = {name: find_reduced_version(dataset, warehouse, run["as_of"]) for name, run in versions.items()}
    if lacking := [name for name, version in reduced.items() if version is None]:
        as_of = versions[lacking[0]]["as_of"]
        return compared, [
            f"No version without the label-derived features is kept beside {', '.join(lacking)}; "
            f"`nightscore train --as-of {as_of}` trains one."
        ]
    for name, version in reduced.items():
        if version is not None:
            compared[name].append(fit_reduced(version))
    return compared, []


def _add_scores(
    dataset: Dataset,
    warehouse: Warehouse,
    runs: pl.DataFrame,
    compared: dict[str, list[Compared]],
    staging: Path,
    rows: pl.DataFrame,
) -> pl.DataFrame:
    """The rows with one more column of scores for each baseline (`name`), and each of the reduced (`reduced
    name`).
    """
    days = []
    for run in runs.iter_rows(named=True):
        day, others = run["partition_date"], compared[run["version"]]
        features = stored_features(dataset, warehouse, day, run["run_id"], run["source_fingerprint"], staging)
        days.append(score_all(dataset, features, others))
        count = sum(len(each.scorers) for each in others)
        log.info("%s  evaluate   compared with %d others on the same rows", day, count)
    return rows.join(pl.concat(days), on=["partition_date", "id"], how="left", maintain_order="left")


def _columns(scored: pl.DataFrame, prefix: str) -> dict[str, str]:
    """Name of each compared scorer to its column."""
    names = [column for column in scored.columns if column not in KEYS]
    chosen = [name for name in names if name.startswith(REDUCED) == bool(prefix)]
    return {name.removeprefix(prefix): name for name in chosen}


def _labelled_rows(dataset: Dataset, rows: pl.DataFrame, column: str) -> LabelledRows:
    columns = dataset.columns
    return LabelledRows(
        dates=rows["partition_date"].to_numpy(),
        entities=rows["entity"].fill_null(rows["id"]).to_numpy() if columns.entity else None,
        labels=rows["label"].to_numpy(),
        scores=rows[column].cast(pl.Float64).to_numpy(),
        flagged=rows["is_flagged"].to_numpy(),
        weights=rows["weight"].to_numpy() if columns.weight else None,
    )


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


def _store(warehouse: Warehouse, evaluation: Evaluation) -> None:
    figures: list[dict[str, Any]] = [
        {
            "first_date": evaluation.first_date,
            "last_date": evaluation.last_date,
            "as_of": evaluation.as_of,
            "model_version": ", ".join(evaluation.model_versions),
            "detector": "nightscore" if detector == DETECTOR else detector,
            "features": features,
            "metric": metric,
            "value": figure.value,
            "low": figure.low,
            "high": figure.high,
            "rows": evaluation.rows,
            "positives": evaluation.positives,
        }
        for features, ranking in (
            ("all", evaluation.ranking),
            ("without label-derived", evaluation.without_label_derived),
        )
        if ranking
        for detector, by_metric in {DETECTOR: ranking.detector, **ranking.baselines}.items()
        for metric, figure in by_metric.items()
    ]

    def insert(con: duckdb.DuckDBPyConnection) -> None:
        con.register("figures", pl.DataFrame(figures, infer_schema_length=None).to_arrow())
        execute(con, "evaluation/insert_metrics")

    warehouse.transact(insert)
