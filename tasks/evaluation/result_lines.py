"""The lines of an evaluation: one per night, and one for each of the strangest entities."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from tasks.core.evaluation_result import AlertLine, NightLine
from tasks.core.masking import MASK

SHOWN_ALERTS = 20


def night_line(run: dict[str, Any]) -> NightLine:
    """The line of a committed run, not evaluated yet."""
    card = Path(run["card_path"])
    return NightLine(
        date=run["partition_date"],
        rows=run["rows_scored"],
        quarantined=run["rows_quarantined"],
        flagged=run["rows_flagged"],
        model_version=run["version"],
        threshold=run["threshold"],
        run_id=run["run_id"],
        data_docs=f"../data-docs/{Path(run['data_docs']).name}" if run["data_docs"] else None,
        model_card=f"../cards/{card.name}" if card.parent.name == "cards" else None,
    )


def labelled_night(night: NightLine, rows: pl.DataFrame) -> NightLine:
    """The line with its precision and recall on the evaluated rows of its date."""
    day = rows.filter(pl.col("partition_date") == night.date)
    if day.is_empty():
        return night
    weight = pl.col("weight")
    found, flagged, frauds = day.select(
        weight.filter(pl.col("is_flagged") & pl.col("label")).sum().alias("found"),
        weight.filter(pl.col("is_flagged")).sum().alias("flagged"),
        weight.filter("label").sum().alias("frauds"),
    ).row(0)
    return replace(
        night,
        precision=found / flagged if flagged else None,
        recall=found / frauds if frauds else None,
        frauds=frauds,
    )


def alert_lines(private: tuple[str, ...], column: str, rows: pl.DataFrame) -> tuple[AlertLine, ...]:
    """The strangest entities of the window, each by its highest row."""
    entity = pl.coalesce("entity", "id").alias("who")
    worst = (
        rows.filter("is_flagged")
        .with_columns(entity)
        .sort(["score", "id"], descending=[True, False])
        .unique("who", maintain_order=True)
    )
    return tuple(
        AlertLine(
            date=row["partition_date"],
            entity=MASK if column in private else row["who"],
            score=row["score"],
            p_value=row["p_value"],
            reasons=tuple(_in_words(reason, private) for reason in row["reasons"] or ()),
            is_fraud=row["label"],
        )
        for row in worst.head(SHOWN_ALERTS).iter_rows(named=True)
    )


def _in_words(reason: dict[str, str], private: tuple[str, ...]) -> str:
    if reason["feature"] in private:
        return f"{reason['feature']} {MASK} (private)"
    return f"{reason['feature']} {reason['observed']} (expected {reason['expected']})"
