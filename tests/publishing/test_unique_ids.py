"""The check that no id is stored twice reads a large night in parts, and finds what it finds in one."""

import pytest
from warehouses import ENGINES

from tasks.publishing import integrity
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings

RUNS = """
insert into runs by name
select 'run ' || day as run_id, date '2026-01-01' + day::integer as partition_date, 'committed' as status,
    now() as committed_at
from range(2) as days(day)
"""
ROWS = """
insert into score_rows by name
select 'run ' || day as run_id, date '2026-01-01' + day::integer as partition_date, 'id ' || number as id
from range(2) as days(day) cross join range(20) as numbers(number)
union all by name
select 'run 1' as run_id, date '2026-01-02' as partition_date, 'id 7' as id
"""


@pytest.mark.parametrize("warehouse", ENGINES, indirect=True)
@pytest.mark.parametrize("rows_at_once", [100, 25, 3])
def test_an_id_that_is_stored_twice_is_found_in_whatever_part_it_is(
    warehouse: WarehouseSettings, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "ROWS_AT_ONCE", rows_at_once)
    bank = Warehouse(warehouse, "bank")
    bank.transact(lambda con: con.execute(RUNS + ";" + ROWS), bounded=True)
    with bank.reading() as con:
        found = {run: integrity._repeated_ids(con, run) for run in (None, "run 0", "run 1")}
    assert {
        run: [(each["run_id"], each["id"], each["times"]) for each in ids] for run, ids in found.items()
    } == {
        None: [("run 1", "id 7", 2)],
        "run 0": [],
        "run 1": [("run 1", "id 7", 2)],
    }
