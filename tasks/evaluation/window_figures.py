"""The figures of a window: of the detector by population, and of its baselines on the same rows."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from models.evaluation.curves import curves, distribution
from models.evaluation.labelled_rows import LabelledRows
from models.evaluation.metrics import FLAG_METRICS, confusion, metrics
from models.evaluation.pooling import pooled_ranks
from models.evaluation.resampling import Metric, measure, resample
from models.flagging.reserve import KNOWN, UNKNOWN
from tasks.core.dataset import Dataset
from tasks.core.evaluation_result import (
    DETECTOR,
    WITHOUT,
    Counts,
    Distribution,
    Evaluation,
    Figure,
    KindLine,
    Ranking,
)
from tasks.core.forgotten import is_forgotten
from tasks.core.populations import ALL, NEW
from tasks.evaluation.baseline_scores import REDUCED

KEYS = (
    "partition_date",
    "id",
    "entity",
    "score",
    "p_value",
    "is_flagged",
    "flagged_by",
    "rank_alone",
    "reasons",
    "label",
    "kind",
    "weight",
    "is_new",
    "version",
    "ranked_by",
)


def ranked_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the column `ranked_by`, float64: the score, or, where several versions have scored the
    rows, the pooled rank of their p-values.
    """
    score = rows["score"].cast(pl.Float64)
    if rows["version"].n_unique() < 2:
        return rows.with_columns(score.alias("ranked_by"))
    return rows.with_columns(ranked_by=pooled_ranks(rows["version"], score, rows["p_value"]))


def score_distribution(rows: pl.DataFrame, labels: pl.Series | None = None) -> Distribution:
    """The distribution of the scores, or of -log10 of the p-values of several versions."""
    several = rows["version"].n_unique() > 1
    values = -np.log10(rows["p_value"].to_numpy()) if several else rows["score"].cast(pl.Float64).to_numpy()
    if labels is None:
        return distribution(values, None)
    return distribution(values, labels.to_numpy(), rows["weight"].to_numpy())


def measure_populations(
    dataset: Dataset, top_k: tuple[int, ...], labelled: pl.DataFrame, counts: Mapping[str, Counts]
) -> dict[str, dict[str, Figure]]:
    """The detector's figures on the labelled rows of each population.

    Precision, recall and F1 are those of the counts; their intervals are of the same rows.
    """
    populations = {ALL: labelled, NEW: labelled.filter(pl.col("is_new"))}
    return {
        name: _as_counted(
            measure(_labelled_rows(dataset, populations[name], "ranked_by"), metrics(top_k)), each
        )
        for name, each in counts.items()
        if populations[name].height
    }


def _as_counted(figures: dict[str, Figure], counts: Counts) -> dict[str, Figure]:
    return figures | {name: replace(figures[name], value=getattr(counts, name)) for name in FLAG_METRICS}


def with_figures(
    dataset: Dataset, top_k: tuple[int, ...], found: Evaluation, scored: pl.DataFrame
) -> Evaluation:
    """The evaluation with its ranking, curves, confusion matrix and distribution, all on the rows of its
    population, which have a column of scores for each of the others.

    Rows that were forgotten have none, and are in the figures of the detector alone.
    """
    by_score = {name: metric for name, metric in metrics(top_k).items() if name not in FLAG_METRICS}
    own = found.figures[found.population]
    kept = scored.filter(~is_forgotten("id"))
    ranking, reduced = (_compared(dataset, kept, prefix, by_score) for prefix in ("", REDUCED))
    rows = _labelled_rows(dataset, scored, "ranked_by")
    lines = {DETECTOR: curves(rows)} | {
        name: curves(_labelled_rows(dataset, kept, name)) for name in _columns(kept, "")
    }
    return replace(
        found,
        rows=found.counts[found.population].labelled,
        positives=found.counts[found.population].positives,
        ranking=replace(ranking, detector=own) if ranking else Ranking(own),
        without_label_derived=reduced,
        confusion=confusion(rows),
        kinds=recall_by_kind(scored),
        curves={name: line for name, line in lines.items() if line},
        distribution=score_distribution(scored, scored["label"]),
        weighted=bool(dataset.columns.weight),
    )


def recall_by_kind(rows: pl.DataFrame) -> tuple[KindLine, ...]:
    """How many of the frauds of each kind are flagged, and by which order of a shared list; the most frequent
    kind first, those of no known kind last; nothing where no kind is known.
    """
    frauds = rows.filter("label")
    if not frauds["kind"].count():
        return ()
    flagged = pl.col("weight").filter("is_flagged").sum().alias("flagged")
    by_order = [pl.col("weight").filter(flagged_by=each).sum().alias(each) for each in (KNOWN, UNKNOWN)]
    columns = [flagged, *(by_order if rows["flagged_by"].count() else [])]
    kinds = frauds.group_by("kind").agg(pl.len().alias("rows"), pl.col("weight").sum(), *columns)
    ordered = kinds.sort(pl.col("kind").is_null(), "rows", "kind", descending=[False, True, False])
    return tuple(KindLine(*line) for line in ordered.iter_rows())


def _compared(
    dataset: Dataset, scored: pl.DataFrame, prefix: str, by_score: Mapping[str, Metric]
) -> Ranking | None:
    """The figures of one detector and its baselines, and their differences; None where there is none."""
    columns = _columns(scored, prefix)
    if not columns:
        return None
    if not prefix:
        columns = {DETECTOR: "ranked_by", **columns}
        if (without := f"{REDUCED}{DETECTOR}") in scored.columns:
            columns[WITHOUT] = without
    scorers = {name: _labelled_rows(dataset, scored, column) for name, column in columns.items()}
    resampled = resample(scorers, by_score)
    detector = resampled.pop(DETECTOR)
    return Ranking(
        {metric: each.figure() for metric, each in detector.items()},
        {
            name: {metric: each.figure() for metric, each in figures.items()}
            for name, figures in resampled.items()
            if name != WITHOUT
        },
        {
            name: {metric: (detector[metric] - each).figure() for metric, each in figures.items()}
            for name, figures in resampled.items()
        },
    )


def _columns(scored: pl.DataFrame, prefix: str) -> dict[str, str]:
    """Name of each compared scorer to its column."""
    names = [column for column in scored.columns if column not in KEYS and scored.height]
    chosen = [name for name in names if name.startswith(REDUCED) == bool(prefix)]
    return {name.removeprefix(prefix): name for name in chosen}


def _labelled_rows(dataset: Dataset, rows: pl.DataFrame, column: str) -> LabelledRows:
    columns = dataset.columns
    return LabelledRows(
        dates=rows["partition_date"].to_numpy(),
        entities=rows["entity"].fill_null(rows["id"]).to_numpy() if columns.entity else None,
        labels=rows["label"].to_numpy(),
        scores=_ranked(rows, column).to_numpy(),
        flagged=rows["is_flagged"].to_numpy(),
        weights=rows["weight"].to_numpy() if columns.weight else None,
    )


def _ranked(rows: pl.DataFrame, column: str) -> pl.Series:
    """The scores of a baseline, by their place within each version where several have been fitted."""
    scores = rows[column].cast(pl.Float64)
    if column == "ranked_by" or rows["version"].n_unique() < 2:
        return scores
    return pl.Series(pooled_ranks(rows["version"], scores))
