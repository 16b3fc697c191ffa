"""A whole night, with its training, is the same whatever the types, orders and files of its days."""

from datetime import date, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from banks import DAYS, FIRST, NIGHT, Bank, found_bank, small_day

from flows.nightly import score_night

pytestmark = pytest.mark.slow
TYPES: dict[str, list[pl.DataType | type[pl.DataType]]] = {
    "id": [pl.Int64, pl.Int32, pl.Float64, pl.Decimal(18, 2), pl.String],
    "card": [pl.Int16, pl.UInt8, pl.Float64, pl.Decimal(10, 0), pl.String],
    "channel": [pl.Int8, pl.Int64, pl.Float64, pl.Decimal(6, 1), pl.String],
    "is_fraud": [pl.Boolean, pl.Int8, pl.Float64, pl.Decimal(3, 2)],
}
TABLES = {
    "scores": "select * exclude (run_id) from scores order by id",
    "quarantine": "select partition_date, id, copy, rule, column_name from quarantined order by all",
    "model": "select version[:10], rows, known_frauds, dates, metrics from models",
}


def numbered_day(day: date) -> pl.DataFrame:
    """A day of the small bank with numbers as ids, cards and channels; a bad row, and a repeated id."""
    number = pl.int_range(pl.len())
    frame = small_day(day).with_columns(
        id=day.day * 10_000 + number,
        card=pl.col("card").str.slice(5).cast(pl.Int64),
        channel=pl.col("channel").replace_strict({"chip": 1, "online": 2, "tap": 3}),
        amount=pl.when(number == 5).then(-1.0).otherwise("amount"),
    )
    return pl.concat([frame, frame[20:21].with_columns(amount=pl.lit(55.0))])


def in_some_form(frame: pl.DataFrame, random: Random) -> list[pl.DataFrame]:
    """The rows in another order and in up to three files, each with its own types and order of columns."""
    count = random.randint(1, 3)
    shuffled = frame[random.sample(range(frame.height), frame.height)]
    parts = []
    for part in (shuffled[number::count] for number in range(count)):
        typed = part.with_columns(_in_type(name, random.choice(kinds)) for name, kinds in TYPES.items())
        parts.append(typed.select(random.sample(typed.columns, typed.width)))
    return parts


def _in_type(name: str, kind: pl.DataType | type[pl.DataType]) -> pl.Expr:
    column = pl.col(name)
    return (column.cast(pl.Int8) if name == "is_fraud" and kind != pl.Boolean else column).cast(kind)


def tables(bank: Bank) -> dict[str, pl.DataFrame]:
    score_night(bank.config, NIGHT)
    return {name: bank.table(query) for name, query in TABLES.items()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    bank = found_bank(tmp_path_factory.mktemp("plain") / "bank")
    for offset in range(DAYS):
        day = FIRST + timedelta(days=offset)
        bank.write(day, numbered_day(day))
    found = tables(bank)
    assert found["quarantine"].height == 2
    assert found["model"]["known_frauds"][0] > 0
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_night_is_the_same_in_every_form(plain: dict[str, pl.DataFrame], tmp_path: Path, seed: int) -> None:
    bank, random = found_bank(tmp_path / "bank"), Random(seed)
    for offset in range(DAYS):
        day = FIRST + timedelta(days=offset)
        (bank.day_folder(day) / "part-0.parquet").unlink()
        for number, part in enumerate(in_some_form(numbered_day(day), random)):
            part.write_parquet(bank.day_folder(day) / f"part-{number}.parquet")
    found = tables(bank)
    versions = {"model_version"}
    for name, expected in plain.items():
        columns = [column for column in expected.columns if column not in versions]
        assert found[name].select(columns).equals(expected.select(columns)), name
