"""Judging a window of committed nights by the labels that were known at a date, beside what no model finds
on the same rows.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

import sql
from models.evaluation.curves import curves, distribution
from models.evaluation.metrics import RANKING, LabelledRows, confusion, measure, metrics
from tasks.core.errors import EvaluationError
from tasks.core.evaluation_result import DETECTOR, Evaluation, Figure, Ranking
from tasks.core.recipe import Recipe
from tasks.core.references import Version
from tasks.evaluation.baseline_scores import (
    REDUCED,
    Compared,
    baselines_of,
    reduced_of,
    score_all,
    stored_features,
)
from tasks.evaluation.result_lines import alert_lines, judged_night, night_line
from tasks.evaluation.settings import EvaluationSettings, Window
from tasks.labels.known_labels import known_compromised, store_labels
from tasks.registry.versions import stored_version
from tasks.training.train import train_version
from tasks.warehouse.connection import reading, transact
from tasks.warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)
VERSION = (
    "version",
    "as_of",
    "first_date",
    "last_date",
    "artifact_path",
    "artifact_sha256",
    "card_path",
    "withheld",
)


@dataclass(frozen=True)
class Bench:
    """Where an evaluation reads and writes.

    reduced: the recipe without the label-derived features; None where there are none.
    """

    recipe: Recipe
    reduced: Recipe | None
    warehouse: WarehouseSettings
    settings: EvaluationSettings


@task(cache_policy=NO_CACHE)
def evaluate(bench: Bench, window: Window, staging: Path) -> Evaluation:
    """Judges a window by its stored labels and those that the source has added since; see `judge`."""
    dataset, delay = bench.recipe.dataset, bench.recipe.label_delay_days
    if dataset.columns.label:
        store_labels(dataset, bench.warehouse, window.first, window.last, delay, window.as_of)
    return judge(bench, window, staging)


def judge(bench: Bench, window: Window, staging: Path) -> Evaluation:
    """The window's figures, with those of every baseline on the same rows; they are stored in the table
    `metrics` as well.

    Raises EvaluationError where a date of the window has no committed run, or the source has changed since.
    """
    dataset = bench.recipe.dataset
    values = {"first_date": window.first, "last_date": window.last}
    with reading(bench.warehouse, dataset.name) as con:
        runs = con.execute(sql.read("evaluation/list_window_runs"), values).pl()
        rows = con.execute(sql.read("evaluation/list_labelled_scores"), values | {"as_of": window.as_of}).pl()
    if runs.is_empty():
        raise EvaluationError(
            f"{window.first}..{window.last}: no date has a committed run whose rows are kept; "
            f"score one with `nightscore run --date {window.first}`"
        )
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
        nights=tuple(night_line(run) for run in runs.iter_rows(named=True)),
        distribution=distribution(rows["score"].cast(pl.Float64).to_numpy(), None),
        alerts=alert_lines(dataset.columns.private, dataset.columns.entity or dataset.columns.id, rows),
    )
    labelled = rows.filter(pl.col("label").is_not_null())
    if labelled.is_empty():
        return replace(unlabelled, notes=(_why_unlabelled(bench, window),))
    return _judge_labelled(bench, window, staging, unlabelled, runs, labelled)


def _judge_labelled(
    bench: Bench, window: Window, staging: Path, found: Evaluation, runs: pl.DataFrame, labelled: pl.DataFrame
) -> Evaluation:
    dataset, settings = bench.recipe.dataset, bench.settings
    rows, notes = labelled, []
    if settings.exclude_known_compromised and dataset.columns.entity:
        compromised = known_compromised(
            dataset, bench.warehouse, labelled, runs["first_date"][0], bench.recipe.label_delay_days
        )
        rows = labelled.filter(~compromised)
    if unknown := found.rows - labelled.height:
        notes.append(
            f"{unknown:,} scored rows have no label that was known by {window.as_of} and are not judged."
        )
    if rows.is_empty():
        return replace(
            found,
            notes=(
                (
                    f"Every labelled row of {window.first}..{window.last} is of an entity that was known "
                    "to be compromised."
                ),
            ),
        )
    scored = _compare(bench, runs, staging, rows)
    judged, (ranking, reduced) = _judged(scored, "score", bench), _rankings(bench, scored)
    notes += [
        f"{name} is not defined on these rows: no frauds, or nothing flagged."
        for name, at in ranking.detector.items()
        if at.value is None
    ]
    lines = {DETECTOR: curves(judged)} | {
        name: curves(_judged(scored, name, bench)) for name in ranking.baselines
    }
    evaluation = replace(
        found,
        rows=rows.height,
        positives=int(rows["label"].sum()),
        rows_left_out=labelled.height - rows.height,
        ranking=ranking,
        without_label_derived=reduced,
        confusion=confusion(judged),
        curves={name: line for name, line in lines.items() if line},
        distribution=distribution(judged.scores, judged.labels, judged.weights),
        nights=tuple(judged_night(night, rows) for night in found.nights),
        weighted=bool(dataset.columns.weight),
        notes=tuple(notes),
    )
    _store(bench.warehouse, evaluation)
    return evaluation


def _rankings(bench: Bench, scored: pl.DataFrame) -> tuple[Ranking, Ranking | None]:
    """The figures of the detector and its baselines, and of the reduced detector and its own, where there is
    one.
    """
    everything = metrics(bench.settings.top_k)
    by_score = {
        name: metric
        for name, metric in everything.items()
        if name in RANKING or name.startswith("card_precision")
    }

    def figures(prefix: str) -> dict[str, dict[str, Figure]]:
        columns = _columns(scored, prefix)
        return {
            name: measure(_judged(scored, column, bench), by_score, replicates=0)
            for name, column in columns.items()
        }

    own, without = (
        Ranking(measure(_judged(scored, "score", bench), everything), figures("")),
        figures(REDUCED),
    )
    return own, Ranking(without.pop(DETECTOR), without) if without else None


def _compare(bench: Bench, runs: pl.DataFrame, staging: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """The judged rows with one more column of scores for each baseline (`name`), and for the reduced
    detector's (`reduced name`).
    """
    dataset, delay, days = bench.recipe.dataset, bench.recipe.label_delay_days, []
    for _, nights in runs.group_by("version", maintain_order=True):
        compared = _compared(bench, nights.row(0, named=True))
        for run in nights.iter_rows(named=True):
            day, fingerprint = run["partition_date"], run["source_fingerprint"]
            features = stored_features(
                dataset, bench.warehouse, day, run["run_id"], fingerprint, delay, staging
            )
            days.append(score_all(dataset, features, compared))
            log.info(
                "%s  evaluate   compared with %d others on the same rows",
                day,
                sum(len(each.scorers) for each in compared),
            )
    return rows.join(pl.concat(days), on=["partition_date", "id"], how="left", maintain_order="left")


def _compared(bench: Bench, run: dict[str, Any]) -> list[Compared]:
    """The baselines of the version that a run used, and the reduced detector of the same date with its
    own.
    """
    own = baselines_of(_version(bench, run))
    if bench.reduced is None:
        return [own]
    return [own, reduced_of(train_version(bench.reduced, bench.warehouse, run["as_of"]))]


def _columns(scored: pl.DataFrame, prefix: str) -> dict[str, str]:
    """Name of each compared scorer to its column."""
    own = ("partition_date", "id", "entity", "score", "p_value", "is_flagged", "reasons", "label", "weight")
    names = [column for column in scored.columns if column not in own]
    chosen = [name for name in names if name.startswith(REDUCED) == bool(prefix)]
    return {name.removeprefix(prefix): name for name in chosen}


def _judged(rows: pl.DataFrame, column: str, bench: Bench) -> LabelledRows:
    columns = bench.recipe.dataset.columns
    return LabelledRows(
        dates=rows["partition_date"].to_numpy(),
        entities=rows["entity"].fill_null(rows["id"]).to_numpy() if columns.entity else None,
        labels=rows["label"].to_numpy(),
        scores=rows[column].cast(pl.Float64).to_numpy(),
        flagged=rows["is_flagged"].to_numpy(),
        weights=rows["weight"].to_numpy() if columns.weight else None,
    )


def _why_unlabelled(bench: Bench, window: Window) -> str:
    if not bench.recipe.dataset.columns.label:
        return (
            "The dataset has no label column, and no labels were given: every figure that needs them is "
            "left out."
        )
    first_known = window.first + timedelta(days=bench.recipe.label_delay_days)
    return (
        f"No label of the window was known by {window.as_of}; those of {window.first} are known from "
        f"the end of {first_known}."
    )


def _version(bench: Bench, run: dict[str, Any]) -> Version:
    return stored_version(bench.warehouse, [run[name] for name in VERSION])


def _store(warehouse: WarehouseSettings, evaluation: Evaluation) -> None:
    figures = [
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
    transact(
        warehouse,
        evaluation.dataset,
        partial(_insert_metrics, pl.DataFrame(figures, infer_schema_length=None)),
    )


def _insert_metrics(figures: pl.DataFrame, con: duckdb.DuckDBPyConnection) -> None:
    con.register("figures", figures.to_arrow())
    con.execute(sql.read("evaluation/insert_metrics"))
