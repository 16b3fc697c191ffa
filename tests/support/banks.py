"""A small bank: a dataset with its configuration that whole nights can be run on."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

FIRST, DAYS, ROWS = date(2026, 1, 1), 12, 400
NIGHT = FIRST + timedelta(days=9)  # the first one whose training window is whole
CONFIG = """
name = "small-bank"

[source]
path = "transactions/date={date}/*.parquet"

[columns]
id = "id"
time = "at"
entity = "card"
label = "is_fraud"

[features]
numeric = ["amount", "distance"]
categorical = ["channel"]

[quality.columns.amount]
nullable = false
min = 0.0
max = 10000.0

[quality.columns.card]
nullable = false

[training]
window_days = 6
label_delay_days = 2
epochs = 3
batch_size = 128

[model]
hidden = [8, 3, 8]
score = "whitened"

[warehouse]
wait_seconds = 1
"""


def small_day(day: date, rows: int = ROWS, seed: int | None = None) -> pl.DataFrame:
    """One day of payments: two numeric features and a category; one row in forty is a fraud and stands
    out.
    """
    rng = np.random.default_rng(day.toordinal() if seed is None else seed)
    fraud = np.arange(rows) % 40 == 7
    return pl.DataFrame(
        {
            "id": [f"{day:%m%d}-{number:05d}" for number in range(rows)],
            "at": [day_time(day, second) for second in np.sort(rng.integers(0, 86_400, rows))],
            "card": [f"card-{number:03d}" for number in rng.integers(0, 120, rows)],
            "amount": np.where(fraud, 400.0, 40.0) + rng.normal(0, 8, rows).clip(-30, 30),
            "distance": rng.gamma(2.0, 3.0, rows) + np.where(fraud, 30.0, 0.0),
            "channel": rng.choice(["chip", "online", "tap"], rows, p=[0.5, 0.2, 0.3]),
            "is_fraud": fraud,
        }
    )


def day_time(day: date, second: int) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(seconds=int(second))


@dataclass(frozen=True)
class Bank:
    """A dataset with its configuration, in a folder of its own."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "nightscore.toml"

    def day_folder(self, day: date) -> Path:
        return self.folder / "transactions" / f"date={day}"

    def write(self, day: date, frame: pl.DataFrame) -> None:
        shutil.rmtree(self.day_folder(day), ignore_errors=True)
        self.day_folder(day).mkdir(parents=True)
        frame.write_parquet(self.day_folder(day) / "part-0.parquet")

    def change(self, day: date, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        self.write(day, change(pl.read_parquet(self.day_folder(day))))

    def configure(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def table(self, query: str) -> pl.DataFrame:
        with duckdb.connect(str(self.folder / "nightscore.duckdb"), read_only=True) as con:
            con.execute('use "small-bank"')
            return con.sql(query).pl()

    def schemas(self) -> list[str]:
        """The datasets that the warehouse holds."""
        with duckdb.connect(str(self.folder / "nightscore.duckdb"), read_only=True) as con:
            schemas = con.sql("select schema_name from duckdb_schemas() where not internal").fetchall()
        return [name for (name,) in schemas if name != "main"]


def found_bank(folder: Path) -> Bank:
    """Twelve days of payments that nobody has scored yet."""
    bank = Bank(folder)
    folder.mkdir()
    bank.config.write_text(CONFIG)
    for offset in range(DAYS):
        day = FIRST + timedelta(days=offset)
        bank.write(day, small_day(day))
    return bank
