"""The ready statement of an entity against its own past: equal to counting, for the columns of the card
transactions and for those that `init` finds in another source.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import Dataset
from tasks.core.references import Validated
from tasks.core.row_sums import sum_of_ids
from tasks.features.build import build_features, feature_batches
from tasks.operations.entity_behaviour import OF_AMOUNT, OF_COUNTERPART, OF_TIME, offer_behaviour
from tasks.operations.source_inspection import look_at
from tasks.source.connection import connect
from tasks.source.ingest import read_partition
from tasks.source.simulation import simulate, write_partitions
from tasks.source.view import create_view

DAY = date(2024, 4, 9)
TODAY = pl.col("tx_time").dt.date() == DAY
FEATURES = (*OF_AMOUNT, *OF_TIME, *OF_COUNTERPART)


def payments() -> pl.DataFrame:
    """40 days of few customers, with nulls, refunds, and rows of one second."""
    frame = simulate(date(2024, 3, 1), 40, customers=12, terminals=60, seed=5, radius=40)
    number = pl.col("transaction_id")
    twins = frame.filter(TODAY).head(8).with_columns(number + 1_000_000)
    return pl.concat([frame, twins]).with_columns(
        amount=pl.when(number % 11 == 0).then(-pl.col("amount")).when(number % 13 != 0).then("amount"),
        customer_id=pl.when(number % 17 != 0).then("customer_id"),
        terminal_id=pl.when(number % 19 != 0).then("terminal_id"),
    )


def slowly(frame: pl.DataFrame) -> pl.DataFrame:
    """The features by looking at every earlier row, for every row of the day."""
    columns = ("transaction_id", "customer_id", "tx_time", "amount", "terminal_id")
    everything = list(frame.select(columns).iter_rows())
    return pl.DataFrame(
        [_compared(row, everything) for row in everything if row[2].date() == DAY],
        schema={"id": pl.String} | dict.fromkeys(FEATURES, pl.Float64),
    ).sort("id")


def _compared(row: tuple[Any, ...], everything: list[tuple[Any, ...]]) -> dict[str, Any]:
    key, customer, now, amount, terminal = row
    past = [other for other in everything if other[1] == customer and customer is not None and other[2] < now]

    def within(days: int, before: datetime = now) -> list[tuple[Any, ...]]:
        return [other for other in past if before - timedelta(days=days) <= other[2] < before]

    def over_mean(days: int) -> float | None:
        sizes = [abs(other[3]) for other in within(days) if other[3] is not None]
        mean = math.fsum(sizes) / len(sizes) if sizes else 0.0
        return None if amount is None or not mean else amount / mean

    month, last_day = within(30), within(1)
    usual = len(within(30, now - timedelta(days=1))) / 30
    last = max((other[2] for other in within(31)), default=None)
    known = customer is not None and terminal is not None
    return {
        "id": str(key),
        "amount_over_mean_7d": over_mean(7),
        "amount_over_mean_30d": over_mean(30),
        "rate_over_usual_rate": (len(last_day) + 1) / usual if usual else None,
        "hours_since_last": (now - last).total_seconds() / 3600 if last else None,
        "is_night": float(now.hour < 6),
        "night_share_30d": sum(other[2].hour < 6 for other in month) / len(month) if month else None,
        "is_new_counterpart": float(all(other[4] != terminal for other in month)) if known else None,
    }


def built(data: Dataset, staging: Path) -> pl.DataFrame:
    with connect(data.source) as con:
        view = create_view(con, data, "day", [DAY])
        ids = con.sql(f"select {view.id} as id from day").pl()["id"]
    refused = pl.DataFrame(schema={"id": pl.String, "copy": pl.Int64, "is_repeated": pl.Boolean}, data=[])
    refused.write_parquet(staging / "refused.parquet")
    places = (staging / "refused.parquet", staging / "quarantine.parquet")
    clean = sum_of_ids(ids)
    validated = Validated(
        read_partition(data, DAY), *places, 0, found=clean, clean=clean, data_docs=staging / "page.html"
    )
    made = build_features(data, validated, 7, staging)
    batches = list(feature_batches(data, made, 10_000))
    return pl.concat([pl.concat([each.keys, each.features], how="horizontal") for each in batches]).sort("id")


def dataset(folder: Path, columns: ColumnSettings, statement: str, features: tuple[str, ...]) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "cards",
            "source": {"path": f"{folder}/date={{date}}/*.parquet", "lookback_days": 31},
            "columns": columns,
            "features": {"sql": statement, "numeric": features},
        }
    )


def same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert_frame_equal(found.select(expected.columns), expected, abs_tol=1e-9, rel_tol=1e-9)


def test_it_is_what_counting_gives(tmp_path: Path) -> None:
    frame = payments()
    write_partitions(frame, tmp_path / "data")
    columns = ColumnSettings(id="transaction_id", time="tx_time", entity="customer_id")
    data = dataset(tmp_path / "data", columns, "features/entity_behaviour.sql", ("amount", *FEATURES))
    expected = slowly(frame)
    same(built(data, tmp_path), expected)
    assert all(0 < expected[name].null_count() < expected.height for name in FEATURES if name != "is_night")
    assert expected.select(pl.col("is_night", "is_new_counterpart").n_unique()).row(0) == (2, 3)


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        ({"amount": "amt", "terminal_id": "merchantId", "customer_id": 'the "card"'}, ()),
        ({"amount": "speed", "terminal_id": "color"}, (*OF_AMOUNT, *OF_COUNTERPART)),
    ],
)
def test_init_offers_it_with_the_names_of_the_source(
    tmp_path: Path, names: dict[str, str], lacking: tuple[str, ...]
) -> None:
    frame = payments()
    write_partitions(frame, tmp_path / "data")
    for file in (tmp_path / "data").rglob("*.parquet"):
        pl.read_parquet(file).rename(names).write_parquet(file)
    look = look_at(str(tmp_path / "data"), None, None)
    entity = names.get("customer_id", "customer_id")
    look = replace(look, roles=look.roles.model_copy(update={"entity": entity}))
    offer = offer_behaviour(look)
    assert offer is not None
    assert offer.features == tuple(name for name in FEATURES if name not in lacking)
    (tmp_path / "own.sql").write_text(offer.statement)
    data = dataset(tmp_path / "data", look.roles, str(tmp_path / "own.sql"), offer.features)
    same(built(data, tmp_path), slowly(frame).select("id", *offer.features))


@pytest.mark.parametrize(
    "change",
    [
        lambda look: replace(look, roles=look.roles.model_copy(update={"time": None})),
        lambda look: replace(look, roles=look.roles.model_copy(update={"entity": None})),
        lambda look: replace(look, columns=(replace(look.columns[0], name="Is_Night"), *look.columns[1:])),
    ],
)
def test_init_offers_nothing_that_would_not_work(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    write_partitions(payments().filter(TODAY), tmp_path / "data")
    look = look_at(str(tmp_path / "data"), None, None)
    assert offer_behaviour(look) is not None
    assert offer_behaviour(change(look)) is None
