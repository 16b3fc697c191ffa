"""The simulator obeys the laws of the handbook's description, and gives the same rows for the same
arguments.
"""

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tasks.source.simulation import LARGE_AMOUNT, LEAK_DAYS, TERMINAL_DAYS, simulate, write_partitions

FIRST, DAYS = date(2024, 1, 1), 60


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return simulate(FIRST, DAYS, customers=1000, terminals=2000, seed=1)


def span_days(frame: pl.DataFrame, scenario: int, entity: str) -> pl.Series:
    """Days from the first to the last fraud of one kind, of every entity."""
    day = pl.col("tx_time").dt.date()
    return (
        frame.filter(fraud_scenario=scenario)
        .group_by(entity)
        .agg((day.max() - day.min()).dt.total_days() + 1)
        .get_column("tx_time")
    )


def test_columns_and_their_types(frame: pl.DataFrame) -> None:
    assert frame.schema == {
        "transaction_id": pl.Int64,
        "tx_time": pl.Datetime("us"),
        "customer_id": pl.Int64,
        "terminal_id": pl.Int64,
        "amount": pl.Float64,
        "is_fraud": pl.Int8,
        "fraud_scenario": pl.Int8,
    }
    assert frame.null_count().sum_horizontal().item() == 0


def test_ids_are_unique_and_rise_with_the_time(frame: pl.DataFrame) -> None:
    assert frame["transaction_id"].to_list() == list(range(frame.height))
    assert frame["tx_time"].is_sorted()


def test_times_lie_inside_the_days_around_noon(frame: pl.DataFrame) -> None:
    assert frame["tx_time"].dt.date().unique().sort().to_list() == [
        FIRST + timedelta(days=n) for n in range(DAYS)
    ]
    assert frame["tx_time"].max() < datetime(2024, 3, 1)
    hours = frame["tx_time"].dt.hour()
    assert hours.mean() == pytest.approx(11.5, abs=0.1)
    assert ((hours >= 6) & (hours < 18)).mean() > 0.65


def test_an_amount_is_a_fraud_by_its_size_alone_from_220(frame: pl.DataFrame) -> None:
    assert frame.filter(pl.col("amount") > LARGE_AMOUNT)["is_fraud"].min() == 1
    assert frame.filter(fraud_scenario=1)["amount"].min() > LARGE_AMOUNT
    assert frame["amount"].min() >= 0
    assert frame.filter(fraud_scenario=0)["amount"].mean() == pytest.approx(52.5, rel=0.1)


def test_a_scenario_is_a_fraud_and_a_fraud_has_a_scenario(frame: pl.DataFrame) -> None:
    assert ((frame["fraud_scenario"] > 0) == (frame["is_fraud"] == 1)).all()
    assert frame["fraud_scenario"].unique().sort().to_list() == [0, 1, 2, 3]


def test_a_compromised_terminal_gives_only_frauds_for_28_days(frame: pl.DataFrame) -> None:
    spans = span_days(frame, 2, "terminal_id")
    assert spans.max() <= TERMINAL_DAYS
    assert spans.max() > TERMINAL_DAYS - 3
    day = pl.col("tx_time").dt.date()
    compromised = (
        frame.filter(fraud_scenario=2)
        .group_by("terminal_id")
        .agg(day.min().alias("first"), day.max().alias("last"))
    )
    during = frame.join(compromised, on="terminal_id").filter(day.is_between("first", "last"))
    assert during["is_fraud"].min() == 1


def test_leaked_cards_are_misused_for_14_days_with_five_times_the_amount(frame: pl.DataFrame) -> None:
    spans = span_days(frame, 3, "customer_id")
    assert spans.max() <= LEAK_DAYS
    assert spans.max() > LEAK_DAYS - 3
    genuine = (
        frame.filter(fraud_scenario=0).group_by("customer_id").agg(pl.col("amount").mean().alias("usual"))
    )
    misused = frame.filter(fraud_scenario=3).join(genuine, on="customer_id")
    assert misused["amount"].sum() / misused["usual"].sum() == pytest.approx(5, rel=0.15)


@pytest.mark.parametrize(("customers", "terminals"), [(500, 1000), (1500, 3000), (3000, 3000)])
def test_rates_are_those_of_the_handbook_however_small_the_population(customers: int, terminals: int) -> None:
    frame = simulate(FIRST, 75, customers, terminals, seed=3)
    # By then, the first terminals are no longer compromised, and new ones are.
    settled = frame.filter(pl.col("tx_time") >= datetime(2024, 1, 29))
    assert 0.006 < settled["is_fraud"].mean() < 0.012
    assert frame.height / 75 / customers == pytest.approx(1.93, rel=0.1)


def test_the_numbers_of_compromised_terminals_and_customers_can_be_set() -> None:
    frame = simulate(FIRST, 40, 300, 600, seed=1, terminals_per_day=0, leaks_per_day=2)
    assert set(frame["fraud_scenario"].unique()) <= {0, 1, 3}
    assert frame.filter(fraud_scenario=3).height > 100


def test_every_terminal_may_be_compromised_again() -> None:
    frame = simulate(FIRST, 40, 20, 30, seed=1, radius=200, terminals_per_day=30)
    assert frame["is_fraud"].min() == 1


def test_same_seed_same_rows() -> None:
    one, same, other = (simulate(FIRST, 10, 100, 200, seed=seed) for seed in (7, 7, 8))
    assert one.equals(same)
    assert not one.equals(other)


def test_rows_are_the_same_on_every_machine() -> None:
    frame = simulate(FIRST, 10, 100, 200, seed=7)
    assert (
        frame.height,
        frame["customer_id"].sum(),
        frame["terminal_id"].sum(),
        round(frame["amount"].sum(), 2),
    ) == (
        1245,
        61861,
        130853,
        60031.24,
    )


def test_without_a_terminal_nearby_there_are_no_payments() -> None:
    assert simulate(FIRST, 5, 3, 3, seed=1, radius=1e-9).is_empty()


@pytest.mark.parametrize("sizes", [(0, 10, 10), (10, 0, 10), (10, 10, 0)])
def test_nothing_to_simulate_is_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        simulate(FIRST, *sizes, seed=1)


def test_partitions_hold_every_row_in_the_folder_of_its_date(tmp_path: Path) -> None:
    frame = simulate(FIRST, 5, 50, 100, seed=1)
    assert write_partitions(frame, tmp_path) == [FIRST + timedelta(days=n) for n in range(5)]
    assert write_partitions(frame, tmp_path) == [FIRST + timedelta(days=n) for n in range(5)]
    files = sorted(tmp_path.rglob("*.*"))
    assert [str(file.relative_to(tmp_path)) for file in files] == [
        f"date=2024-01-0{n}/part-0.parquet" for n in range(1, 6)
    ]
    assert pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files]).equals(frame)
    assert all(
        pl.read_parquet(file)["tx_time"].dt.date().unique().to_list()
        == [date.fromisoformat(file.parent.name[5:])]
        for file in files
    )
