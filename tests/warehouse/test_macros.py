"""The macro `labels_known_at`: the label in force of each row among all known at a cut-off, on any engine."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pytest
from warehouses import ENGINES

from tasks.warehouse.connection import Warehouse
from tasks.warehouse.query import query
from tasks.warehouse.settings import WarehouseSettings

DAY, LATER = date(2026, 1, 5), date(2026, 1, 9)
LABEL = (
    "insert into labels by name select $id as id, $day as partition_date, $label as label, 1 as weight, "
    "$known_at as known_at, $source as source, now() + to_seconds($nth) as recorded_at"
)
NEVER, FRAUD, CLEARED = [], [("a", True)], [("a", False)]
KNOWN = {DAY - timedelta(days=1): NEVER, DAY: FRAUD, LATER - timedelta(days=1): FRAUD, LATER: CLEARED}
every_engine = pytest.mark.parametrize("warehouse", ENGINES, indirect=True)


def label(warehouse: WarehouseSettings, nth: int, label: bool, known_at: date) -> Any:
    values = {"id": "a", "day": DAY, "label": label, "known_at": known_at, "source": "bank", "nth": nth}
    return Warehouse(warehouse, "bank").transact(
        lambda con: (con.execute(LABEL, values), known(con, known_at))[1]
    )


def known(con: duckdb.DuckDBPyConnection, cutoff: date) -> list[tuple[Any, ...]]:
    return con.execute("select id, label from labels_known_at($cutoff)", {"cutoff": cutoff}).fetchall()


@every_engine
def test_the_newest_label_known_at_a_cut_off_counts(warehouse: WarehouseSettings) -> None:
    assert label(warehouse, 0, True, DAY) == FRAUD
    assert label(warehouse, 1, True, LATER) == FRAUD
    assert label(warehouse, 2, False, LATER) == CLEARED  # of one date, what was recorded last
    assert label(warehouse, 3, True, DAY) == FRAUD  # recorded last, but an earlier date
    with Warehouse(warehouse, "bank").reading() as con:
        assert {cutoff: known(con, cutoff) for cutoff in KNOWN} == KNOWN
        newest = "from latest_labels"
        assert con.sql(newest).fetchall() == con.sql("from labels_known_at('infinity'::date)").fetchall()


def in_force(history: list[dict[str, Any]], cutoff: date) -> tuple[bool, float | None] | None:
    """The label of a row and its weight, found one by one from what was said of it, oldest first."""
    known = sorted(
        (one for one in history if one["known_at"] <= cutoff),
        key=lambda one: (one["known_at"], one["recorded_at"]),
    )
    own = [one for one in known if one["source"] == "source"]
    others = [one for one in known if one["source"] != "source"]
    silent = not any(one["label"] for one in own)  # the source never said fraud
    counting = others if silent and others else known
    if not counting:
        return None
    return counting[-1]["label"], (own or counting)[-1]["weight"]


@every_engine
def test_a_source_that_never_said_fraud_overrules_nobody(warehouse: WarehouseSettings) -> None:
    """Against a rule written without SQL, on random histories of three sources."""
    draw, said = random.Random(7), []
    for number in range(300):
        for nth in range(draw.randint(1, 5)):
            said.append(
                {
                    "id": str(number),
                    "partition_date": DAY,
                    "label": draw.random() < 0.5,
                    "weight": draw.choice([None, 1.0, 2.0]),
                    "known_at": DAY + timedelta(days=draw.randint(0, 3)),
                    "source": draw.choice(["source", "answer", "bank"]),
                    "recorded_at": datetime(2026, 2, 1, 0, nth, tzinfo=UTC),
                }
            )
    frame = pl.DataFrame(said, schema_overrides={"weight": pl.Float64})
    bank = Warehouse(warehouse, "bank")
    insert = "insert into labels by name from said"
    bank.transact(lambda con: (con.register("said", frame.to_arrow()), con.execute(insert)))
    for cutoff in (DAY + timedelta(days=day) for day in range(4)):
        expected = {
            number: found
            for number in map(str, range(300))
            if (found := in_force([one for one in said if one["id"] == number], cutoff))
        }
        with bank.reading() as con:
            found = con.execute("select id, label, weight from labels_known_at($cutoff)", {"cutoff": cutoff})
            assert {row_id: tuple(rest) for row_id, *rest in found.fetchall()} == expected
    assert len({label for label, _ in expected.values()}) == 2


def test_nightscore_sql_may_ask_for_the_labels_of_any_cut_off(warehouse: WarehouseSettings) -> None:
    label(warehouse, 0, True, DAY)
    bank = Warehouse(warehouse, "bank")
    assert query(bank, f"select id, label from labels_known_at('{DAY}'::date)").rows == FRAUD
    assert query(bank, f"from labelled_counts('{DAY}'::date)").rows == []
