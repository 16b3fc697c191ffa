"""What the rows of a window are compared with: baselines, and the versions without label-derived features."""

import logging
from pathlib import Path

import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.progress import advance
from tasks.evaluation.baseline_scores import (
    Compared,
    fit_baselines,
    fit_reduced,
    score_all,
    stored_features,
    with_networks_alone,
)
from tasks.registry.versions import find_reduced_version, stored_version
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)


def find_comparisons(
    dataset: Dataset, warehouse: Warehouse, runs: pl.DataFrame, with_reduced: bool
) -> tuple[dict[str, list[Compared]], list[str]]:
    """What each version of the runs is compared with, and in a sentence what is missing.

    The reduced detectors are compared where every version has one.
    """
    versions = {run["version"]: run for run in runs.iter_rows(named=True)}
    compared = {name: [fit_baselines(stored_version(warehouse, run))] for name, run in versions.items()}
    if any(each.detector.blend for (each,) in compared.values()):
        compared = {name: [with_networks_alone(each)] for name, (each,) in compared.items()}
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


def add_scores(
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
    for number, run in enumerate(runs.iter_rows(named=True)):
        advance("evaluate", number, runs.height)
        day, others = run["partition_date"], compared[run["version"]]
        features = stored_features(dataset, warehouse, day, run["run_id"], run["source_fingerprint"], staging)
        days.append(score_all(dataset, features, others))
        count = sum(len(each.scorers) for each in others)
        log.info("%s  evaluate   compared with %d others on the same rows", day, count)
    advance("evaluate", runs.height, runs.height)
    return rows.join(pl.concat(days), on=["partition_date", "id"], how="left", maintain_order="left")
