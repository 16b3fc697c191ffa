"""A backfill gives the tables that night after night would have given: by threads, by a Dask cluster, and when a worker is killed."""

import os
import signal
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from banks import DAYS, FIRST, NIGHT, Bank, found_bank, small_day
from test_exactly_once import TABLES, staged, tables
from typer.testing import CliRunner

from flows.backfill import backfill
from flows.cli import app
from flows.nightly import nightly
from tasks.errors import BackfilledInPart, NightError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

DATES = [NIGHT + timedelta(days=number) for number in range(6)]
BAD, LAST = DATES[1], DATES[-1]
DASK = '[compute]\nengine = "dask"\nworkers = 2\n'


def long_bank(folder: Path) -> Bank:
    """A bank in whose six dates a version is trained twice, one date is rejected, and a challenger is decided on and promoted."""
    bank = found_bank(folder)
    for number in range(3):
        day = FIRST + timedelta(days=DAYS + number)
        bank.write(day, small_day(day))
    bank.configure("label_delay_days = 2", "label_delay_days = 1\nretrain_every_days = 3")
    bank.configure("[warehouse]\nwait_seconds = 1", "[warehouse]\nwait_seconds = 30")
    bank.configure("[warehouse]", "[challenger]\nwindow_days = 1\nleast_frauds = 2\ntolerance = 1.0\n[warehouse]")
    bank.change(BAD, lambda day: day.with_columns(amount=pl.lit(-1.0)))
    return bank


@pytest.fixture(scope="module")
def by_night(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Bank:
    bank = long_bank(tmp_path_factory.mktemp("by-night") / "bank")
    for day in DATES:
        if day == BAD:
            with pytest.raises(NightError):
                nightly(bank.config, day)
        else:
            nightly(bank.config, day)
    assert bank.table("select promoted from decisions").rows() == [(True,)]
    assert bank.table("from models").height == 2
    return bank


@pytest.fixture
def new(tmp_path: Path) -> Bank:
    return long_bank(tmp_path / "bank")


def assert_same(bank: Bank, by_night: Bank) -> None:
    expected, found = tables(by_night), tables(bank)
    assert {name: found[name].equals(expected[name]) for name in TABLES} == dict.fromkeys(TABLES, True)
    assert [path.name for path in staged(bank)] in ([], [str(BAD)])


def test_threads_give_the_tables_of_single_nights_and_failing_dates_are_listed(new: Bank, by_night: Bank) -> None:
    with pytest.raises(BackfilledInPart) as refusal:
        backfill(new.config, DATES[0], LAST)
    said = str(refusal.value)
    assert "5 dates were scored, 1 failed" in said
    assert f"{BAD}: " in said
    assert "amount" in said
    assert f"nightscore backfill --from {BAD} --to {BAD}" in said
    assert "\n" not in said
    assert_same(new, by_night)
    new.write(BAD, small_day(BAD))
    shown = CliRunner().invoke(app, ["backfill", "--config", str(new.config), "--from", str(BAD), "--to", str(LAST)])
    assert (shown.exit_code, shown.stdout.split(":")[0]) == (0, str(BAD))
    assert shown.stdout.count("\n") == 1
    again = CliRunner().invoke(app, ["backfill", "--config", str(new.config), "--from", str(BAD), "--to", str(LAST)])
    assert (again.exit_code, "Nothing to do" in again.stdout) == (0, True)


def test_a_dask_cluster_gives_the_same_and_a_killed_worker_costs_nothing_but_time(new: Bank, by_night: Bank) -> None:
    new.configure("[challenger]", f"{DASK}[challenger]")
    killed: list[int] = []
    watcher = threading.Thread(target=kill_a_worker, args=(new, killed), daemon=True)
    watcher.start()
    with pytest.raises(BackfilledInPart, match="5 dates were scored, 1 failed"):
        backfill(new.config, DATES[0], LAST)
    assert len(killed) == 1
    assert_same(new, by_night)


def kill_a_worker(bank: Bank, killed: list[int]) -> None:
    """Kills one worker process as soon as it has written down its first step of a night."""
    while not killed:
        for note in (bank.folder / "nightscore-files").glob("*/staging/*/validate.json"):
            workers = [pid for pid in children(os.getpid()) if is_worker(pid)]
            if workers and note.exists():
                os.kill(workers[0], signal.SIGKILL)
                killed.append(workers[0])
                return
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # it has ended
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def is_worker(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    return False
