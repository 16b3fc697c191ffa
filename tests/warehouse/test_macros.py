"""The macro `labels_known_at`: the newest label of each row among all known at a cut-off, on any engine."""

from datetime import date, timedelta
from typing import Any

import duckdb
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


def test_nightscore_sql_may_ask_for_the_labels_of_any_cut_off(warehouse: WarehouseSettings) -> None:
    label(warehouse, 0, True, DAY)
    bank = Warehouse(warehouse, "bank")
    assert query(bank, f"select id, label from labels_known_at('{DAY}'::date)").rows == FRAUD
    assert query(bank, f"from labelled_counts('{DAY}'::date)").rows == []
