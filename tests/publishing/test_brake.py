"""A night that flags far more rows than usual is doubtful: published or held, accepted or discarded."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import polars as pl
import pytest
from banks import NIGHT, ROWS, Bank
from click.testing import Result
from typer.testing import CliRunner

from flows.cli.app import app
from flows.settings import load_settings
from tasks.core.errors import WarehouseHeld
from tasks.core.references import Night, Scored
from tasks.operations.doctor import Setup, check_held
from tasks.publishing.brake import Brake
from tasks.publishing.held import SetAside
from tasks.publishing.publish import conclude
from tasks.publishing.staged_night import read_staged
from tasks.warehouse.connection import Warehouse

pytestmark = pytest.mark.slow
FLOOD, NEXT = NIGHT + timedelta(days=1), NIGHT + timedelta(days=2)


def command(bank: Bank, *words: object) -> Result:
    name, *rest = map(str, words)
    return CliRunner().invoke(app, [name, "--config", str(bank.config), *rest])


def run(bank: Bank, *words: object) -> Result:
    return command(bank, "run", "--date", FLOOD, *words)


def accept(bank: Bank) -> Result:
    return command(bank, "publish", "--accept", FLOOD, "--by", "Ada")


def scored(bank: Bank) -> pl.DataFrame:
    return bank.table(f"select * from scores where partition_date = '{FLOOD}' order by id")


def ledger(bank: Bank) -> list[tuple[object, ...]]:
    rows = (
        f"select status, superseded_at is null from runs where partition_date = '{FLOOD}' order by started_at"
    )
    return bank.table(rows).rows()


def held_folders(bank: Bank) -> list[Path]:
    return sorted((files(bank) / "held").glob("*"))


def files(bank: Bank) -> Path:
    return bank.folder / "nightscore-files" / "small-bank"


@pytest.fixture
def flooded(scored_bank: Bank) -> Bank:
    """A scored night, and one whose amounts have moved, so that nearly every row is flagged."""
    scored_bank.change(FLOOD, lambda rows: rows.with_columns(pl.col("amount") + 3000))
    return scored_bank


@pytest.fixture
def holding(flooded: Bank) -> Bank:
    """The same, where doubtful nights are held."""
    flooded.configure("[warehouse]", '[evaluation]\noutside = "hold"\n\n[warehouse]')
    return flooded


def test_a_doubtful_night_is_committed_with_status_3_until_somebody_accepts_it(flooded: Bank) -> None:
    first = run(flooded)
    assert first.exit_code == 3, first.stderr
    (doubt,) = flooded.table("select doubt from current_runs where doubt is not null")["doubt"]
    assert doubt.startswith(
        f"{ROWS} of {ROWS} rows are flagged, 1.000 of them, above evaluation.flagged_share 0.1"
    )
    assert "moved most: amount (psi " in doubt
    assert "(psi 0.00)" not in doubt
    assert doubt in first.stdout
    assert ledger(flooded) == [("committed", True)]
    again = run(flooded)
    assert (again.exit_code, "already committed" in again.stdout) == (3, True)
    assert accept(flooded).exit_code == 0
    by = flooded.table(
        "select accepted_by, accepted_at is not null from current_runs where doubt is not null"
    )
    assert by.rows() == [("Ada", True)]
    assert run(flooded).exit_code == 0
    refused = accept(flooded)
    assert (refused.exit_code, "there is nothing to accept" in refused.stderr) == (1, True)


def test_a_held_night_waits_is_named_and_is_committed_as_it_was_scored(holding: Bank) -> None:
    before = scored(holding)
    night = run(holding)
    assert (night.exit_code, "held as" in night.stdout) == (3, True)
    assert (ledger(holding), before.height, scored(holding).height) == ([("held", True)], 0, 0)
    staged = pl.read_parquet(held_folders(holding)[0] / "scores.parquet")

    again = run(holding)
    assert (again.exit_code, "already held" in again.stdout) == (3, True)
    for words in (
        ("run", "--date", NEXT),
        ("catch-up", "--to", FLOOD),
        ("backfill", "--from", FLOOD, "--to", FLOOD),
        ("publish",),
    ):
        left = command(holding, *words)
        assert left.exit_code == 0, left.stderr
        assert f"{FLOOD}  publish    held: {ROWS} of {ROWS} rows are flagged" in left.stderr, words
    settings = load_settings(holding.config)
    warehouse = Warehouse(settings.warehouse, settings.name)
    assert str(FLOOD) in check_held(Setup(settings, warehouse, settings.notify)).found
    assert command(holding, "prune", "--keep-days", "0", "--yes").exit_code == 0
    assert ledger(holding) == [("held", True)]

    accepted = accept(holding)
    assert (accepted.exit_code, ledger(holding), held_folders(holding)) == (0, [("committed", True)], [])
    assert (
        scored(holding)
        .select("id", "score", "is_flagged")
        .equals(staged.sort("id").select("id", "score", "is_flagged"))
    )
    determined = "select compromised_entities is not null, accepted_by from runs where doubt is not null"
    assert holding.table(determined).rows() == [(True, "Ada")]
    assert run(holding).exit_code == 0
    assert check_held(Setup(settings, warehouse, settings.notify)).ok


def test_a_discarded_night_is_left_alone_until_its_source_changes(holding: Bank) -> None:
    assert run(holding).exit_code == 3
    discarded = command(holding, "publish", "--discard", FLOOD)
    assert (discarded.exit_code, ledger(holding), held_folders(holding)) == (0, [("discarded", True)], [])
    assert command(holding, "publish", "--discard", FLOOD).exit_code == 1
    assert accept(holding).exit_code == 1
    assert "Nothing to do" in command(holding, "catch-up", "--to", FLOOD).stdout
    holding.change(FLOOD, lambda rows: rows.with_columns(pl.col("amount") - 3000))
    caught_up = command(holding, "catch-up", "--to", FLOOD)
    assert (caught_up.exit_code, f"{FLOOD}: committed" in caught_up.stdout) == (0, True)
    assert (ledger(holding)[-1], scored(holding).height) == (("committed", True), ROWS)


def test_a_new_delivery_replaces_a_held_night_and_force_holds_it_anew(holding: Bank) -> None:
    assert run(holding).exit_code == 3
    assert run(holding, "--force").exit_code == 3
    assert ledger(holding) == [("held", False), ("held", True)]
    assert len(held_folders(holding)) == 1
    holding.change(FLOOD, lambda rows: rows.with_columns(pl.col("amount") - 3000))
    assert run(holding).exit_code == 0
    assert ledger(holding) == [("held", False), ("held", False), ("committed", True)]
    assert held_folders(holding) == []
    assert accept(holding).exit_code == 1


def test_an_earlier_commit_stays_current_while_a_correction_is_held_and_is_named_when_replaced(
    holding: Bank,
) -> None:
    holding.change(FLOOD, lambda rows: rows.with_columns(pl.col("amount") - 3000))
    assert run(holding).exit_code == 0
    (first,) = holding.table(f"select run_id from current_runs where partition_date = '{FLOOD}'")["run_id"]
    before = scored(holding)
    holding.change(FLOOD, lambda rows: rows.with_columns(pl.col("amount") + 3000))
    assert run(holding).exit_code == 3
    assert scored(holding).equals(before)
    assert "Nothing to do" in command(holding, "catch-up", "--to", FLOOD).stdout
    accepted = accept(holding)
    assert f"it supersedes {first}" in accepted.stdout
    assert f"it supersedes {first}" in accepted.stderr
    assert scored(holding)["is_flagged"].all()


def test_a_night_that_cannot_be_held_for_now_is_held_by_the_next_publish(
    holding: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    transact = Warehouse.transact

    def busy(warehouse: Warehouse, work: object) -> object:
        if "hold_night" in getattr(work, "__qualname__", ""):
            raise WarehouseHeld("held by another process")
        return transact(warehouse, work)

    monkeypatch.setattr(Warehouse, "transact", busy)
    waiting = run(holding)
    assert (waiting.exit_code, "held by another process" in waiting.stderr) == (1, True)
    monkeypatch.undo()
    assert scored(holding).is_empty()
    published = command(holding, "publish")
    assert (published.exit_code, scored(holding).height, ledger(holding)[-1]) == (3, 0, ("held", True))
    assert accept(holding).exit_code == 0
    assert scored(holding).height == ROWS


def test_a_held_night_whose_process_was_killed_is_not_held_again_after_the_decision(
    holding: Bank, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = files(holding) / "staging" / str(FLOOD)

    def killed(warehouse: Warehouse, day: object) -> None:
        shutil.copytree(folder, tmp_path / "staged")
        raise SystemExit(1)

    def leave_staged() -> Result:
        shutil.copytree(tmp_path / "staged", folder, dirs_exist_ok=True)
        return command(holding, "publish")

    monkeypatch.setattr("tasks.publishing.publish.remove_leftovers", killed)
    run(holding)
    monkeypatch.undo()
    assert (leave_staged().exit_code, ledger(holding)) == (3, [("held", True)])
    assert accept(holding).exit_code == 0
    after = leave_staged()
    assert (after.exit_code, "No scored night waits" in after.stdout) == (0, True)
    assert ledger(holding) == [("committed", True)]
    holding.change(FLOOD, lambda rows: rows.with_columns(pl.col("amount") + 1))
    assert run(holding).exit_code == 3
    (newer,) = held_folders(holding)
    assert leave_staged().exit_code == 0
    assert held_folders(holding) == [newer]
    assert command(holding, "publish", "--discard", FLOOD).exit_code == 0
    assert leave_staged().exit_code == 0
    assert ledger(holding) == [("committed", True), ("discarded", True)]


def test_a_warehouse_taken_right_after_the_commit_leaves_a_committed_night(
    holding: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(holding).exit_code == 3

    def taken(warehouse: Warehouse) -> list[SetAside]:
        raise WarehouseHeld("held by another process")

    monkeypatch.setattr("tasks.publishing.held.set_aside", taken)
    staged = read_staged(held_folders(holding)[0])
    assert staged is not None
    settings = load_settings(holding.config)
    warehouse = Warehouse(settings.warehouse, settings.name)
    conclude(settings, warehouse, Brake(0, 1, hold=False), replace(staged, doubt=None))
    assert ledger(holding) == [("committed", True)]


def test_a_forced_night_that_is_held_is_found_before_the_accepted_one(holding: Bank) -> None:
    assert run(holding).exit_code == 3
    assert accept(holding).exit_code == 0
    assert run(holding, "--force").exit_code == 3
    assert ledger(holding) == [("committed", True), ("held", True)]
    again = run(holding)
    assert (again.exit_code, "already held" in again.stdout) == (3, True)


def test_a_doubt_is_sent_once_and_a_warehouse_that_refuses_to_hold_is_one_line(
    holding: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(con: object, statement: str, **values: object) -> None:
        raise duckdb.Error("TransactionContext Error: cannot commit\nsecond line")

    with monkeypatch.context() as refusing:
        refusing.setattr("tasks.publishing.held.execute", refuse)
        refused = run(holding)
    assert (refused.exit_code, "unexpected" in refused.stderr) == (1, False)
    assert f"{FLOOD}: the warehouse refused the night: TransactionContext Error" in refused.stderr
    sent: list[tuple[str, str | None]] = []
    monkeypatch.setattr(
        "tasks.notifications.notify.send", lambda _, notice: sent.append((notice.event, notice.what_to_do))
    )
    assert run(holding).exit_code == 3
    assert accept(holding).exit_code == 0
    ((event, advice),) = sent
    assert (event, "--discard" in str(advice)) == ("doubt", True)


def test_evaluate_names_the_dates_that_have_no_committed_night(holding: Bank) -> None:
    assert run(holding).exit_code == 3
    page = command(holding, "evaluate", "--from", NIGHT, "--to", FLOOD)
    assert page.exit_code == 0, page.stderr
    assert f"1 of the 2 dates have no committed night whose rows are kept, and are in no figure: {FLOOD}" in (
        " ".join(page.stdout.split())
    )


@pytest.mark.usefixtures("prefect_server")
def test_a_doubtful_run_is_completed_under_the_name_doubtful(flooded: Bank) -> None:
    from flows.serving.deployments import as_state, catch_up, nightly

    state = nightly(flooded.config, FLOOD, return_state=True)
    assert (state.name, state.is_completed()) == ("Doubtful", True)
    assert nightly(flooded.config, FLOOD).doubt
    assert nightly(flooded.config, NIGHT, return_state=True).name == "Completed"
    flooded.change(FLOOD, lambda rows: rows.with_columns(pl.col("amount") + 1))
    caught_up = catch_up(flooded.config, FLOOD, FLOOD, return_state=True)
    (night,) = caught_up.result()
    assert (caught_up.name, night.date, bool(night.doubt)) == ("Doubtful", FLOOD, True)
    assert as_state([night], []) == [night]


def test_a_doubtful_demo_ends_with_status_3_in_json_too(monkeypatch: pytest.MonkeyPatch, bank: Bank) -> None:
    night = Night(FLOOD, "run", "committed", 1, 1, 0, 1, "v1", 1.0, doubt="all flagged")
    evaluation = SimpleNamespace(to_json=lambda page: {"report": page})
    monkeypatch.setattr("flows.demo.prepare", lambda folder: bank.config)
    monkeypatch.setattr("flows.demo.play", lambda *_: ([night], evaluation, Path("page.html")))
    demo = CliRunner().invoke(app, ["demo", "--json"])
    assert (demo.exit_code, demo.stdout) == (3, '{"report": "page.html"}\n')


def test_few_flags_are_a_warning_and_no_doubt(scored_bank: Bank) -> None:
    scored_bank.configure(
        "[warehouse]",
        '[threshold]\nstrategy = "fixed"\nvalue = 1e9\n\n'
        '[evaluation]\nflagged_share = [0.01, 0.1]\noutside = "hold"\n\n[warehouse]',
    )
    for back in (1, 0):
        assert command(scored_bank, "run", "--date", NEXT - timedelta(days=back)).exit_code == 0
    quiet = command(scored_bank, "run", "--date", NIGHT, "--force")
    assert quiet.exit_code == 0, quiet.stderr
    last = command(scored_bank, "run", "--date", NEXT, "--force")
    assert last.exit_code == 0
    assert f"0 of {ROWS} rows are flagged, 0.000 of them, below evaluation.flagged_share 0.01" in last.stderr
    assert f"the last 3 nights, since {NIGHT}, flagged 0 rows in all" in last.stderr
    assert scored_bank.table("select count(*) from runs where doubt is not null").item() == 0


@pytest.mark.parametrize(
    ("flagged", "rows", "is_doubtful"), [(0, 0, False), (10, 100, False), (11, 100, True)]
)
def test_the_band_includes_its_upper_end(flagged: int, rows: int, is_doubtful: bool) -> None:
    night = Scored(Path("scores.parquet"), rows, flagged, 1.0, moved=("amount (psi 1.00)",))
    assert (Brake(0.0, 0.1, hold=True).doubt(night) is not None) == is_doubtful
