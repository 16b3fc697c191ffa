"""Every table of a bank, to be compared with another's, and what its nights have left staged."""

from pathlib import Path

import polars as pl
import polars.selectors as cs
from banks import Bank

TABLES = (
    "runs",
    "score_rows",
    "shadow_scores",
    "profiles",
    "quarantine",
    "labels",
    "models",
    "promotions",
    "decisions",
    "metrics",
)
OF_THE_RUN = (
    "run_id",
    "superseded_by",
    "durations",
    "artifact_path",
    "artifact_sha256",
)  # what no two runs share, besides instants: Keras dates its files


def tables(bank: Bank) -> dict[str, pl.DataFrame]:
    """Every table of the bank, without what no two runs share."""
    return {
        name: sort(bank.table(f"from {name}").drop(OF_THE_RUN, strict=False).drop(cs.datetime(time_zone="*")))
        for name in TABLES
    }


def sort(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort([name for name, kind in frame.schema.items() if not kind.is_nested()])


def staged(bank: Bank) -> list[Path]:
    return list((bank.folder / "nightscore-files" / "small-bank" / "staging").iterdir())
