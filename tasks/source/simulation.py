"""Simulated card transactions, following the public description of the Fraud Detection Handbook (Le Borgne et
al. 2022, chapter 3).

Customers and terminals lie on a map of 100 x 100; a customer pays at the terminals within a radius. There are
three kinds of fraud:
1: the amount is above 220;
2: a terminal is compromised for 28 days, and all its transactions are frauds;
3: a customer's card data leak for 14 days, and a third of the customer's transactions are frauds with five
   times the amount.
"""

import logging
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.core.atomic_files import atomic_path

MAP_SIDE = 100.0
DAY_SECONDS = 86_400
LARGE_AMOUNT = 220.0
TERMINAL_DAYS = 28
LEAK_DAYS = 14
LEAK_SHARE = 1 / 3
LEAK_FACTOR = 5.0
# The handbook's rates per day: two of 10,000 terminals, three of 5,000 customers.
TERMINALS_PER_DAY = 2 / 10_000
LEAKS_PER_DAY = 3 / 5_000

log = logging.getLogger(__name__)
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def simulate(
    first: date,
    days: int,
    customers: int,
    terminals: int,
    seed: int,
    radius: float = 5.0,
    terminals_per_day: float | None = None,
    leaks_per_day: float | None = None,
) -> pl.DataFrame:
    """Returns all transactions of `days` dates from `first`, sorted by time; the same arguments give the same
    rows.

    terminals_per_day, leaks_per_day: number of terminals and customers that are newly compromised each day;
        by default the handbook's share of the population, so that about 0.8% of the rows are frauds for any
        population size.
    Columns: transaction_id int64 (from 0), tx_time datetime (to the second), customer_id and terminal_id
    int64, amount float64 (two decimals), is_fraud int8, fraud_scenario int8 (0: none).
    Raises ValueError if days, customers or terminals is below 1.
    """
    if min(days, customers, terminals) < 1:
        raise ValueError(
            f"days, customers and terminals must be at least 1; got {days}, {customers} and {terminals}"
        )
    rng = np.random.default_rng(seed)
    customer, terminal, second, amount = _payments(rng, days, customers, terminals, radius)
    day = second // DAY_SECONDS
    new_terminals = TERMINALS_PER_DAY * terminals if terminals_per_day is None else terminals_per_day
    new_leaks = LEAKS_PER_DAY * customers if leaks_per_day is None else leaks_per_day
    compromised = _compromised_days(rng, terminals, days, new_terminals, TERMINAL_DAYS)
    leaked = _compromised_days(rng, customers, days, new_leaks, LEAK_DAYS)
    misused = leaked[customer, day] & (rng.random(len(day)) < LEAK_SHARE)
    amount = np.where(misused, amount * LEAK_FACTOR, amount).round(2)
    scenario = np.select([misused, compromised[terminal, day], amount > LARGE_AMOUNT], [3, 2, 1], 0)
    return pl.DataFrame(
        {
            "transaction_id": np.arange(len(day)),
            "tx_time": np.datetime64(first, "us") + second.astype("timedelta64[s]"),
            "customer_id": customer,
            "terminal_id": terminal,
            "amount": amount,
            "is_fraud": (scenario > 0).astype(np.int8),
            "fraud_scenario": scenario.astype(np.int8),
        }
    )


def spoil(transactions: pl.DataFrame, seed: int, share: float = 0.001) -> pl.DataFrame:
    """Returns the transactions with a delivery error in a random `share` of them: the sign of the amount is
    flipped.
    """
    is_spoiled = pl.Series(np.random.default_rng(seed).random(len(transactions)) < share)
    return transactions.with_columns(
        pl.when(is_spoiled).then(-pl.col("amount")).otherwise("amount").alias("amount")
    )


def write_partitions(frame: pl.DataFrame, folder: Path) -> list[date]:
    """Writes `folder`/date=YYYY-MM-DD/part-0.parquet for every date of `tx_time`, and returns the dates in
    order.

    Each file is written atomically and replaces an earlier one.
    """
    parts = frame.with_columns(pl.col("tx_time").dt.date().alias("date")).partition_by(
        "date", as_dict=True, include_key=False
    )
    dates: list[date] = sorted(key[0] for key in parts)
    for day in dates:
        path = folder / f"date={day}" / "part-0.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as staged:
            parts[(day,)].write_parquet(staged)
    log.info("wrote %d simulated transactions of %d dates to %s", frame.height, len(dates), folder)
    return dates


def _payments(
    rng: np.random.Generator, days: int, customers: int, terminals: int, radius: float
) -> tuple[Integers, Integers, Integers, NDArray[np.float64]]:
    """Returns the customer, the terminal, the second since the first midnight, and the amount of every
    genuine payment, in order of time.
    """
    homes, shops = rng.uniform(0, MAP_SIDE, (customers, 2)), rng.uniform(0, MAP_SIDE, (terminals, 2))
    mean_amount, payments_per_day = rng.uniform(5, 100, customers), rng.uniform(0, 4, customers)
    near = [np.flatnonzero(((shops - home) ** 2).sum(axis=1) < radius**2) for home in homes]
    choices = np.array([len(found) for found in near])
    payments_per_day = np.where(choices > 0, payments_per_day, 0.0)  # no terminal nearby, no payments
    counts = rng.poisson(payments_per_day[:, None], (customers, days)).ravel()
    customer, day = (np.repeat(index.ravel(), counts) for index in np.indices((customers, days)))
    clock = rng.normal(DAY_SECONDS / 2, 20_000, len(day)).astype(np.int64)
    inside = (clock > 0) & (clock < DAY_SECONDS)
    second = day * DAY_SECONDS + clock
    order = np.flatnonzero(inside)[np.argsort(second[inside], kind="stable")]
    customer, second = customer[order], second[order]
    start = np.cumsum(choices) - choices
    terminal = np.concatenate(near)[
        start[customer] + (rng.random(len(customer)) * choices[customer]).astype(np.int64)
    ]
    amount = rng.normal(mean_amount[customer], mean_amount[customer] / 2)
    redrawn = rng.uniform(0, 2 * mean_amount[customer])
    return customer, terminal, second, np.where(amount < 0, redrawn, amount)


def _compromised_days(
    rng: np.random.Generator, population: int, days: int, per_day: float, duration: int
) -> Flags:
    """Returns which terminals or customers are compromised on which day: bool (population, days).

    None is chosen a second time before every other was chosen once.
    """
    totals = np.floor(np.arange(1, days + 1) * per_day + 1e-9).astype(int)
    first_days = np.repeat(np.arange(days), np.diff(totals, prepend=0))
    compromised = np.zeros((population, days), dtype=bool)
    for one, day in zip(np.resize(rng.permutation(population), len(first_days)), first_days, strict=True):
        compromised[one, day : day + duration] = True
    return compromised
