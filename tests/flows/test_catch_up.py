"""Catching up: scores missing dates and rescores changed ones, in order; the old run stays in the ledger."""

from datetime import timedelta

import polars as pl
import pytest
from banks import DAYS, FIRST, NIGHT, Bank, small_day

from flows.plain import catch_up, nightly
from tasks.core.errors import CaughtUpInPart

pytestmark = pytest.mark.slow

SECOND, LAST = NIGHT + timedelta(days=1), FIRST + timedelta(days=DAYS - 1)


def test_dates_with_late_rows_are_rescored_and_missing_dates_scored_once(scored_bank: Bank) -> None:
    (before,) = scored_bank.table("from current_runs")["run_id"]
    late = small_day(NIGHT, rows=5, seed=7).with_columns(id=pl.format("late-{}", "id"))
    scored_bank.change(NIGHT, lambda day: pl.concat([day, late]))
    nights = catch_up(scored_bank.config)
    assert [(night.date, night.status) for night in nights] == [
        (day, "committed") for day in (NIGHT, SECOND, LAST)
    ]
    assert scored_bank.table("from scores where id like 'late-%'").height == 5
    old = scored_bank.table(
        f"select superseded_by, superseded_at is not null as superseded from runs where run_id = '{before}'"
    )
    assert old.rows() == [(nights[0].run_id, True)]
    assert scored_bank.table(f"from score_rows where run_id = '{before}'").height > 0
    # A changed label is no reason to score again.
    scored_bank.change(NIGHT, lambda day: day.with_columns(is_fraud=pl.lit(None, pl.Boolean)))
    assert catch_up(scored_bank.config) == []


def test_a_date_that_fails_does_not_stop_the_others_and_is_named(scored_bank: Bank) -> None:
    (scored_bank.day_folder(SECOND) / "part-0.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(CaughtUpInPart, match=rf"1 dates were scored, 1 failed \({SECOND}\).*part-0.parquet"):
        catch_up(scored_bank.config, first=SECOND)
    assert scored_bank.table("select partition_date from current_runs order by all")[
        "partition_date"
    ].to_list() == [NIGHT, LAST]
    (failed,) = scored_bank.table("from runs where status = 'failed'").to_dicts()
    assert "part-0.parquet" in failed["message"]
    assert nightly(scored_bank.config, LAST).status == "already committed"
