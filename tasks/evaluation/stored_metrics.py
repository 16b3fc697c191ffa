"""The figures of an evaluation, as they are kept in the table `metrics`."""

from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import polars as pl

from tasks.core.evaluation_result import DETECTOR, Evaluation, Figure
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute


def store_metrics(warehouse: Warehouse, evaluation: Evaluation) -> None:
    """Inserts one row per figure: those of the detector for each population, those of everything else for the
    population of the evaluation.
    """
    figures = pl.DataFrame(list(_lines(evaluation)), infer_schema_length=None)

    def insert(con: duckdb.DuckDBPyConnection) -> None:
        con.register("figures", figures.to_arrow())
        execute(con, "evaluation/insert_metrics")

    warehouse.transact(insert)


def _lines(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    for population, figures in evaluation.figures.items():
        yield from _of(evaluation, "nightscore", "all", population, figures)
    if evaluation.ranking:
        for name, figures in evaluation.ranking.baselines.items():
            yield from _of(evaluation, name, "all", evaluation.population, figures)
    if reduced := evaluation.without_label_derived:
        for name, figures in {DETECTOR: reduced.detector, **reduced.baselines}.items():
            scorer = "nightscore" if name == DETECTOR else name
            yield from _of(evaluation, scorer, "without label-derived", evaluation.population, figures)


def _of(
    evaluation: Evaluation, scorer: str, features: str, population: str, figures: Mapping[str, Figure]
) -> Iterator[dict[str, Any]]:
    counts = evaluation.counts[population]
    for metric, figure in figures.items():
        yield {
            "first_date": evaluation.first_date,
            "last_date": evaluation.last_date,
            "as_of": evaluation.as_of,
            "model_version": ", ".join(evaluation.model_versions),
            "detector": scorer,
            "features": features,
            "population": population,
            "metric": metric,
            "value": figure.value,
            "low": figure.low,
            "high": figure.high,
            "rows": counts.labelled,
            "positives": counts.positives,
        }
