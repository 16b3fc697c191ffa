"""Every kind of bad input: one plain line, status 1 if the night cannot go on, and no change to any table but
the ledger.
"""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from banks import NIGHT, ROWS, Bank
from typer.testing import CliRunner

from flows.cli.app import app

pytestmark = pytest.mark.slow
NEXT = NIGHT + timedelta(days=1)
TABLES = ("score_rows", "profiles", "quarantine", "labels", "models", "promotions", "metrics")
Change = Callable[[Bank], object]


def run(bank: Bank) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["run", "--config", str(bank.config), "--date", str(NEXT)])
    last = [line for line in result.stderr.splitlines() if line.startswith("nightscore: ")]
    return result.exit_code, "\n".join(last)


def first_rows(number: int) -> pl.Expr:
    return pl.int_range(pl.len()) < number


def column(name: str, value: object, rows: int = ROWS) -> Change:
    return lambda bank: bank.change(
        NEXT,
        lambda day: day.with_columns(
            pl.when(first_rows(rows)).then(pl.lit(value)).otherwise(name).alias(name)
        ),
    )


def truncate(bank: Bank) -> None:
    file = bank.day_folder(NEXT) / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:500])


def feature_sql(text: str) -> Change:
    def write(bank: Bank) -> None:
        (bank.folder / "mine.sql").write_text(text)
        bank.configure("[features]", '[features]\nsql = "mine.sql"')

    return write


def tamper(bank: Bank) -> None:
    (network,) = bank.folder.rglob("*.keras")
    network.write_bytes(network.read_bytes()[:-1] + b"!")


RETRAIN = "\n[training]\nretrain_every_days = 1\n"
REFUSED: dict[str, tuple[Change, str]] = {
    "no such partition": (
        lambda bank: (bank.day_folder(NEXT) / "part-0.parquet").unlink(),
        f"{NEXT}.*no partition.*12 dates|{NEXT}.*no partition",
    ),
    "an empty partition": (lambda bank: bank.change(NEXT, lambda day: day.head(0)), f"{NEXT}.*empty"),
    "a truncated Parquet file": (truncate, f"{NEXT}.*part-0.parquet cannot be read"),
    "a missing column": (
        lambda bank: bank.change(NEXT, lambda day: day.drop("distance")),
        f"{NEXT}.*distance",
    ),
    "a column of the wrong type": (column("amount", "many"), f"{NEXT}.*amount"),
    "too many bad rows": (column("amount", -1.0, ROWS // 2), f"{NEXT}.*{ROWS // 2}.*amount"),
    "rows of another date": (
        lambda bank: bank.change(NEXT, lambda day: day.with_columns(pl.col("at").dt.offset_by("1d"))),
        f"{NEXT}.*date",
    ),
    "an unknown key": (
        lambda bank: bank.configure("epochs", "epoches"),
        "epoches is not a key.*did you mean epochs",
    ),
    "a missing key": (lambda bank: bank.configure('id = "id"\n', ""), "columns.id is missing"),
    "feature SQL that fails": (feature_sql("-- rows\nselect * from nowhere"), "mine.sql failed.*nowhere"),
    "feature SQL that loses rows": (
        feature_sql("-- rows\nselect * from history where _partition_date = $partition_date and amount < 45"),
        "mine.sql.*lost",
    ),
    "feature SQL that returns duplicates": (
        feature_sql(
            "-- rows\nselect history.* from history, range(2) where _partition_date = $partition_date"
        ),
        "mine.sql.*more than once",
    ),
    "an artifact that was tampered with": (tamper, r"\.keras"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_night_that_cannot_go_on_is_refused_in_one_line(scored_bank: Bank, case: str) -> None:
    change, message = REFUSED[case]
    before = {name: scored_bank.table(f"from {name}").rows() for name in TABLES}
    change(scored_bank)
    status, output = run(scored_bank)
    assert status == 1
    assert pl.Series([output]).str.contains(message)[0], output
    assert output.count("\n") == 0
    assert {name: scored_bank.table(f"from {name}").rows() for name in TABLES} == before
    assert scored_bank.table("from current_runs").height == 1
    if "key" not in case:
        noted = scored_bank.table(f"from runs where partition_date = '{NEXT}'")
        assert noted["status"].to_list()[0] in ("failed", "rejected")
        assert output.removeprefix("nightscore: ") == " ".join(noted["message"][0].split())


ACCEPTED: dict[str, tuple[Change, int]] = {
    "an unknown extra column": (
        lambda bank: bank.change(NEXT, lambda day: day.with_columns(extra=pl.lit(1))),
        0,
    ),
    "duplicate ids": (lambda bank: bank.change(NEXT, lambda day: pl.concat([day, day.head(3)])), 3),
    "null": (column("amount", None, 3), 3),
    "NaN": (column("amount", float("nan"), 3), 3),
    "infinite": (column("distance", float("inf"), 3), 3),
    "huge": (column("amount", 1e12, 3), 3),
    "a category never seen in training": (column("channel", "carrier pigeon", 3), 0),
    "an unknown label": (
        lambda bank: bank.change(NEXT, lambda day: day.with_columns(is_fraud=pl.lit(2))),
        0,
    ),
    "no label column": (lambda bank: bank.change(NEXT, lambda day: day.drop("is_fraud")), 0),
    "zoned timestamps": (
        lambda bank: bank.change(
            NEXT, lambda day: day.with_columns(pl.col("at").dt.replace_time_zone("UTC"))
        ),
        0,
    ),
}


NOTED = {
    "an unknown extra column": "column extra",
    "duplicate ids": "first",
    "an unknown label": f"{ROWS} values of the label column is_fraud are no label, such as '2'",
    "no label column": "there is no label column is_fraud",
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_few_bad_rows_are_quarantined_and_the_night_goes_on(scored_bank: Bank, case: str) -> None:
    change, quarantined = ACCEPTED[case]
    change(scored_bank)
    status, output = run(scored_bank)
    assert (status, output) == (0, "")
    (night,) = scored_bank.table(f"from current_runs where partition_date = '{NEXT}'").to_dicts()
    assert night["rows_quarantined"] == quarantined
    assert NOTED.get(case, "") in (night["message"] or "")
    assert night["rows_source"] == night["rows_scored"] + night["rows_quarantined"]
    assert (
        scored_bank.table(f"select score from scores where partition_date = '{NEXT}'")["score"]
        .is_finite()
        .all()
    )


def test_a_window_of_frauds_alone_cannot_be_learnt_from(bank: Bank) -> None:
    for day in sorted(bank.folder.glob("transactions/*/*.parquet")):
        pl.read_parquet(day).with_columns(is_fraud=pl.lit(True)).write_parquet(day)
    status, output = run(bank)
    assert status == 1
    assert "no normal rows" in output
    assert bank.table("from runs")["status"].to_list() == ["failed"]
    assert all(bank.table(f"from {name}").is_empty() for name in TABLES)


def test_a_night_waits_for_a_held_warehouse_and_then_names_its_holder(scored_bank: Bank) -> None:
    path = str(scored_bank.folder / "nightscore.duckdb")
    hold = f"import duckdb, time; c = duckdb.connect({path!r}); print('held', flush=True); time.sleep(120)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        status, output = run(scored_bank)
        holder.kill()
    assert status == 1
    assert f"PID {holder.pid}" in output
    assert scored_bank.table("from runs").height == 1


def test_a_rejected_first_night_does_not_even_train(bank: Bank) -> None:
    column("amount", -1.0, ROWS // 2)(bank)
    status, output = run(bank)
    assert status == 1
    assert "amount" in output
    assert bank.table("from runs")["status"].to_list() == ["rejected"]
    assert all(bank.table(f"from {name}").is_empty() for name in TABLES)
