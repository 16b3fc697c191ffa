"""What the tests share: where the public data lies, a small bank to score, and one Prefect server for the whole session."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

FIRST, DAYS, ROWS = date(2026, 1, 1), 12, 400
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

[warehouse]
wait_seconds = 1
"""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data that is not part of the repository."""
    folder = Path(os.environ.get("NIGHTSCORE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "card_transactions").is_dir():
        pytest.skip(f"no public data at {folder}; set NIGHTSCORE_DATA to run this test")
    return folder


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real Prefect server with a database of its own, started once."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


def small_day(day: date, rows: int = ROWS, seed: int | None = None) -> pl.DataFrame:
    """One day of payments: two numeric features and a category; one row in forty is a fraud and stands out."""
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


def day_time(day: date, second: int) -> Any:
    from datetime import datetime

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
        import duckdb

        with duckdb.connect(str(self.folder / "nightscore.duckdb"), read_only=True) as con:
            con.execute('use "small-bank"')
            return con.sql(query).pl()


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """Twelve days of payments that nobody has scored yet."""
    made = Bank(tmp_path / "bank")
    made.folder.mkdir()
    made.config.write_text(CONFIG)
    for offset in range(DAYS):
        day = FIRST + timedelta(days=offset)
        made.write(day, small_day(day))
    return made


@pytest.fixture(scope="session")
def scored_bank_template(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Bank:
    from flows.nightly import nightly

    made = Bank(tmp_path_factory.mktemp("bank") / "bank")
    made.folder.mkdir()
    made.config.write_text(CONFIG)
    for offset in range(DAYS):
        day = FIRST + timedelta(days=offset)
        made.write(day, small_day(day))
    nightly(made.config, NIGHT)
    return made


@pytest.fixture
def scored_bank(scored_bank_template: Bank, tmp_path: Path) -> Bank:
    """The same bank after its first night; the copy is the test's own."""
    made = Bank(tmp_path / "scored")
    shutil.copytree(scored_bank_template.folder, made.folder)
    return made


NIGHT = FIRST + timedelta(days=9)
