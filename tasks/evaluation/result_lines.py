"""The lines of an evaluation: one per night, and one for each of the strangest entities."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl

from models.flagging.reserve import UNKNOWN
from tasks.core.dataset import Dataset
from tasks.core.evaluation_result import AlertLine, Counts, NightLine, Reason
from tasks.core.masking import MASK

SHOWN_ALERTS = 20


def night_lines(
    runs: pl.DataFrame, counts: pl.DataFrame, populations: Sequence[str]
) -> tuple[NightLine, ...]:
    """The lines of the committed runs of a window, with their counts of these populations.

    counts: the rows of the macro labelled_counts.
    """
    names = [each.name for each in fields(Counts)]
    counted = {
        (row["run_id"], row["population"]): Counts(**{name: row[name] for name in names})
        for row in counts.iter_rows(named=True)
    }
    return tuple(
        _night_line(run, {name: counted.get((run["run_id"], name), Counts()) for name in populations})
        for run in runs.iter_rows(named=True)
    )


def _night_line(run: dict[str, Any], counts: dict[str, Counts]) -> NightLine:
    card = Path(run["card_path"])
    return NightLine(
        date=run["partition_date"],
        quarantined=run["rows_quarantined"],
        model_version=run["version"],
        threshold=run["threshold"],
        run_id=run["run_id"],
        counts=counts,
        data_docs=f"../data-docs/{Path(run['data_docs']).name}" if run["data_docs"] else None,
        model_card=f"../cards/{card.name}" if card.parent.name == "cards" else None,
    )


def alert_lines(dataset: Dataset, runs: pl.DataFrame, rows: pl.DataFrame) -> tuple[AlertLine, ...]:
    """The strangest entities of the window, each by its highest row: known and unknown patterns in turn."""
    column = dataset.columns.entity or dataset.columns.id
    held_out = dict(runs.select("version", "held_out").iter_rows())
    entity = pl.coalesce("entity", "id").alias("who")
    worst = _in_turn(rows.filter("is_flagged").with_columns(entity)).unique("who", maintain_order=True)
    return tuple(
        AlertLine(
            date=row["partition_date"],
            entity=MASK if column in dataset.columns.private else row["who"],
            score=row["score"],
            p_value=row["p_value"],
            reasons=tuple(_reason(dataset, reason) for reason in row["reasons"] or ()),
            held_out=held_out[row["version"]],
            is_fraud=row["label"],
            flagged_by=row["flagged_by"],
        )
        for row in worst.head(SHOWN_ALERTS).iter_rows(named=True)
    )


def _in_turn(flagged: pl.DataFrame) -> pl.DataFrame:
    """The flagged rows as a list shows them, as in the view `all_alerts`: each pattern by its own order."""
    is_unknown = (pl.col("flagged_by") == UNKNOWN).fill_null(False)
    ordered = flagged.with_columns(is_unknown.alias("is_unknown")).sort(
        pl.when("is_unknown").then("rank_alone"), -pl.col("ranked_by"), "id"
    )
    place = (pl.int_range(pl.len()) + 1) / pl.len()
    return ordered.sort(place.over("is_unknown"), "is_unknown", maintain_order=True).drop("is_unknown")


def _reason(dataset: Dataset, stored: dict[str, Any]) -> Reason:
    is_private = dataset.is_private(stored["feature"])
    masked = dict.fromkeys(("observed", "expected", "usual"), MASK) if is_private else {}
    return Reason(**{name: stored[name] for name in (each.name for each in fields(Reason))} | masked)
