"""Banks whose versions have a head on known frauds."""

from datetime import timedelta

import polars as pl
from banks import DAYS, FIRST, Bank

from flows.settings import Settings, load_settings

HEAD = '\n[head]\nkind = "auto"\nwindow_days = 9\nleast_frauds = 10\n'
SHARED = '[threshold]\nstrategy = "budget"\nvalue = 6\nreserve = 0.5\n'
DELAY = 2


def headed(bank: Bank) -> Settings:
    """The bank with a head, and with frauds on every date that no network finds strange."""
    is_fraud = (pl.col("channel") == "tap") & pl.col("distance").is_between(4, 7)
    kind = pl.when(pl.col("distance") > 5.5).then(pl.lit("far")).otherwise(pl.lit("near"))
    for offset in range(DAYS):
        bank.change(
            FIRST + timedelta(days=offset), lambda day: day.with_columns(is_fraud=is_fraud, kind=kind)
        )
    bank.configure('label = "is_fraud"', 'label = "is_fraud"\nlabel_kind = "kind"')
    bank.config.write_text(bank.config.read_text() + HEAD)
    return load_settings(bank.config)


def source(bank: Bank) -> pl.DataFrame:
    days = [FIRST + timedelta(days=offset) for offset in range(DAYS)]
    return pl.concat(
        [
            pl.read_parquet(bank.day_folder(day) / "part-0.parquet").with_columns(partition_date=pl.lit(day))
            for day in days
        ]
    )
