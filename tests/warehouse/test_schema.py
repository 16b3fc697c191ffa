"""A warehouse of an earlier version is migrated when it is opened; one of a newer version is refused."""

import duckdb
import pytest
from banks import NIGHT, Bank
from warehouses import ENGINES

from flows.settings import load_settings
from tasks.core.errors import WarehouseError
from tasks.core.identity import run_identity
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.schema import FORMAT, product_version, read_format
from tasks.warehouse.settings import WarehouseSettings

FORMAT_6 = """
    drop view all_alerts;
    alter table score_rows drop column rank_alone;
    alter table score_rows drop column flagged_by;
    alter table runs drop column rows_unknown;
    alter table runs drop column unknown_threshold;
    alter table labels drop column kind;
    update warehouse_format set format = 6;
"""
FORMAT_5 = f"""
    {FORMAT_6}
    create or replace view all_alerts as select partition_date, is_flagged from scores;
    update warehouse_format set format = 5;
"""
FORMAT_4 = f"""
    {FORMAT_6}
    drop table answers;
    drop table alert_rules;
    update warehouse_format set format = 4;
"""
FORMAT_3 = f"""
    {FORMAT_4}
    drop table compromised;
    alter table metrics drop column population;
    alter table score_rows drop column reasons.element.share;
    alter table score_rows drop column reasons.element.usual;
    alter table runs drop column doubt;
    alter table runs drop column accepted_by;
    alter table runs drop column accepted_at;
    alter table runs drop column compromised_entities;
    update warehouse_format set format = 3;
"""
FORMAT_2 = f"""
    {FORMAT_3}
    alter table quarantine drop column copy;
    update warehouse_format set format = 2;
"""
FORMAT_1 = f"""
    {FORMAT_3}
    alter table quarantine drop column copy;
    drop table warehouse_format;
    drop view current_runs;
    alter table runs drop column product_version;
    create view current_runs as
    select *
    from runs
    where
        status = 'committed'
        and committed_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
        and (
            superseded_at is null
            or superseded_at > coalesce(getvariable('as_of')::timestamptz, 'infinity')
        );
"""
EARLIER = {
    1: FORMAT_1,
    2: FORMAT_2,
    3: FORMAT_3,
    4: FORMAT_4,
    5: FORMAT_5,
    6: FORMAT_6,
}  # what makes the tables of this version those of an earlier format


def to_format(earlier: int, bank: Bank) -> None:
    """Makes a bank's warehouse what the version of an earlier format would have written."""
    first_hash = run_identity(load_settings(bank.config)).hashes[-1]
    with duckdb.connect(str(bank.folder / "nightscore.duckdb")) as con:
        con.execute('use "small-bank"')
        con.execute(EARLIER[earlier])
        if earlier == 1:
            con.execute("update runs set config_hash = $first_hash", {"first_hash": first_hash})


@pytest.mark.slow
@pytest.mark.parametrize("earlier", sorted(EARLIER))
def test_a_warehouse_of_an_earlier_version_is_migrated_and_no_night_is_scored_again(
    scored_bank: Bank, earlier: int
) -> None:
    from flows.catch_up import score_missed
    from flows.nightly import score_night

    (run,) = scored_bank.table("from current_runs").to_dicts()
    to_format(earlier, scored_bank)
    settings = load_settings(scored_bank.config)
    warehouse = Warehouse(settings.warehouse, settings.name)
    assert [row["partition_date"] for row in warehouse.rows("publish/list_committed_dates")] == [NIGHT]
    with warehouse.reading() as con:
        assert read_format(con, settings.name) == FORMAT
        assert con.execute("select version from champion").fetchall() == [(run["model_version"],)]
    again = score_night(scored_bank.config, NIGHT)
    assert (again.status, again.run_id) == ("already committed", run["run_id"])
    assert score_missed(scored_bank.config, NIGHT, NIGHT) == []
    written_by = None if earlier == 1 else product_version()
    assert scored_bank.table("select product_version from runs").rows() == [(written_by,)]
    forced = score_night(scored_bank.config, NIGHT, force=True)
    assert forced.model_version == run["model_version"]
    written = "select product_version, config_hash[:2] from runs where superseded_at is null"
    assert scored_bank.table(written).rows() == [(product_version(), "5:")]


@pytest.mark.slow
@pytest.mark.parametrize("warehouse", ENGINES, indirect=True)
@pytest.mark.parametrize("earlier", sorted(EARLIER))
def test_a_migrated_schema_is_that_of_a_new_one_and_quarantined_rows_stay(
    warehouse: WarehouseSettings, earlier: int
) -> None:
    new, old = Warehouse(warehouse, "new"), Warehouse(warehouse, "old")

    def write_as_earlier(con: duckdb.DuckDBPyConnection) -> None:
        con.execute(EARLIER[earlier])
        con.execute("insert into quarantine by name select 'r' as run_id, 7 as source_row, 'a' as id")

    new.transact(lambda con: None)
    old.transact(lambda con: None)
    old.transact(write_as_earlier)
    columns = """
        select table_name, column_name, data_type
        from duckdb_columns()
        where database_name = 'warehouse' and schema_name = $name
        order by all
    """
    with old.reading() as con:
        assert read_format(con, "old") == FORMAT
        found, expected = (con.execute(columns, {"name": name}).fetchall() for name in ("old", "new"))
        kept = con.execute("select run_id, source_row, id, copy from quarantine").fetchall()
    assert found == expected
    assert ("quarantine", "copy", "BIGINT") in found
    assert ("quarantined", "copy", "BIGINT") in found
    assert kept == [("r", 7, "a", None)]  # what was quarantined then has no copy


def test_a_warehouse_of_a_newer_version_is_refused_in_one_line(warehouse: WarehouseSettings) -> None:
    bank = Warehouse(warehouse, "bank")
    bank.transact(lambda con: con.execute(f"update warehouse_format set format = {FORMAT + 1}"))
    refused = f"holds bank in format {FORMAT + 1}.*install the version that wrote it"
    with pytest.raises(WarehouseError, match=refused), bank.reading():
        pass
    with pytest.raises(WarehouseError, match=refused):
        bank.transact(lambda con: None)


@pytest.mark.slow
@pytest.mark.parametrize("warehouse", ENGINES, indirect=True)
@pytest.mark.parametrize(
    ("numeric", "expected"),
    [
        (("id", "entity"), [("-3", "0"), ("007", "abc"), ("12", "10000000000000000"), ("7", "7.5")]),
        (("entity",), [("-3.0", "0"), ("007", "abc"), ("12.00", "10000000000000000"), ("7.0", "7.5")]),
        ((), [("-3.0", "-0.0"), ("007", "abc"), ("12.00", "1e+16"), ("7.0", "7.50")]),
    ],
)
def test_ids_that_an_earlier_version_wrote_as_floats_are_rewritten_if_they_are_numbers(
    warehouse: WarehouseSettings, numeric: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    bank = Warehouse(warehouse, "bank", lambda: numeric)

    def write(con: duckdb.DuckDBPyConnection) -> None:
        con.execute(FORMAT_2)
        rows = "('7.0', '7.50'), ('12.00', '1e+16'), ('-3.0', '-0.0'), ('007', 'abc')"
        con.execute(f"insert into score_rows by name select * from (values {rows}) as rows(id, entity)")
        con.execute("insert into labels by name select '7.0' as id union all select '8'")

    bank.transact(lambda con: None)
    bank.transact(write)
    with bank.reading() as con:
        assert con.execute("select id, entity from score_rows order by all").fetchall() == sorted(expected)
        labelled = con.execute("select id from labels order by all").fetchall()
    assert labelled == ([("7",), ("8",)] if "id" in numeric else [("7.0",), ("8",)])


def test_ids_that_may_be_numbers_are_not_touched_without_the_source(warehouse: WarehouseSettings) -> None:
    bank = Warehouse(warehouse, "bank")
    bank.transact(lambda con: None)
    bank.transact(lambda con: con.execute(FORMAT_2 + "insert into labels by name select '7.0' as id;"))
    with pytest.raises(WarehouseError, match=r"holds ids of bank such as '7\.0'"), bank.reading():
        pass
