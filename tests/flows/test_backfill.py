"""A backfill produces the same tables as single nights: with threads, with a Dask cluster, and if workers are
killed.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import dask.config
import polars as pl
import pytest
from banks import DAYS, FIRST, NIGHT, Bank, found_bank, small_day
from prefect.settings import PREFECT_API_URL
from shown_artifacts import shown_artifacts
from tables import TABLES, staged, tables
from typer.testing import CliRunner

from flows.cli.app import app
from flows.plain import nightly
from flows.serving.deployments import backfill
from tasks.core.errors import BackfilledInPart, NightError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

DATES = [NIGHT + timedelta(days=number) for number in range(6)]
BAD, LAST = DATES[1], DATES[-1]
DASK = '[compute]\nengine = "dask"\nworkers = 2\n'


def long_bank(folder: Path) -> Bank:
    """A bank with six dates, over which two versions are trained, one date is rejected, and a challenger is
    promoted.
    """
    bank = found_bank(folder)
    for number in range(3):
        day = FIRST + timedelta(days=DAYS + number)
        bank.write(day, small_day(day))
    bank.configure("label_delay_days = 2", "label_delay_days = 1\nretrain_every_days = 3")
    bank.configure("[warehouse]\nwait_seconds = 1", "[warehouse]\nwait_seconds = 30")
    bank.configure(
        "[warehouse]", "[challenger]\nwindow_days = 1\nleast_frauds = 2\ntolerance = 1.0\n[warehouse]"
    )
    bank.change(BAD, lambda day: day.with_columns(amount=pl.lit(-1.0)))
    return bank


@pytest.fixture(scope="module")
def by_night(tmp_path_factory: pytest.TempPathFactory) -> Bank:
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


@pytest.mark.soak
def test_threads_produce_the_tables_of_single_nights_and_failed_dates_are_listed(
    new: Bank, by_night: Bank
) -> None:
    with pytest.raises(BackfilledInPart) as refusal:
        backfill(new.config, DATES[0], LAST)
    message = str(refusal.value)
    assert "5 dates were scored, 1 failed" in message
    assert f"{BAD}: " in message
    assert "amount" in message
    assert f"nightscore backfill --from {BAD} --to {BAD}" in message
    assert "\n" not in message
    assert_same(new, by_night)
    new.write(BAD, small_day(BAD))
    shown = CliRunner().invoke(
        app, ["backfill", "--config", str(new.config), "--from", str(BAD), "--to", str(LAST)]
    )
    assert (shown.exit_code, shown.stdout.split(":")[0]) == (0, str(BAD))
    assert shown.stdout.count("\n") == 1
    lacking = LAST + timedelta(days=1)
    again = CliRunner().invoke(
        app, ["backfill", "--config", str(new.config), "--from", str(BAD), "--to", str(lacking)]
    )
    assert (again.exit_code, "Nothing to do" in again.stdout) == (0, True)
    assert f"the source has no partition of 1 dates: {lacking}" in again.stderr


def test_a_range_that_ends_before_it_begins_is_wrong_usage(bank: Bank) -> None:
    shown = CliRunner().invoke(
        app, ["backfill", "--config", str(bank.config), "--from", str(LAST), "--to", str(NIGHT)]
    )
    assert (shown.exit_code, f"--from {LAST} is after --to {NIGHT}" in shown.stderr) == (2, True)


def test_threads_and_a_dask_cluster_produce_the_tables_of_single_nights(
    scored_bank: Bank, tmp_path: Path
) -> None:
    dates = DATES[1:3]
    by_threads, on_dask = (
        Bank(shutil.copytree(scored_bank.folder, tmp_path / name)) for name in ("threads", "dask")
    )
    # One worker, since each loads TensorFlow.
    on_dask.configure("[warehouse]", f"{DASK}[warehouse]".replace("workers = 2", "workers = 1"))
    for day in dates:
        nightly(scored_bank.config, day)
    for each in (by_threads, on_dask):
        assert [night.date for night in backfill(each.config, NIGHT, dates[-1])] == dates
        assert_same(each, scored_bank)
        assert (
            100.0,
            f"small-bank {dates[0]}..{dates[-1]}: 2 of 2 dates are through, 0 failed",
        ) in progress()


def progress() -> list[tuple[float, str]]:
    return [
        (artifact.data, artifact.description)
        for artifact in shown_artifacts("nightscore-backfill-small-bank")
    ]


def test_unreachable_workers_are_reported_in_one_line_before_anything_is_done(bank: Bank) -> None:
    bank.configure("[warehouse]", '[compute]\nengine = "dask"\naddress = "tcp://127.0.0.1:1"\n[warehouse]')
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        shown = CliRunner().invoke(
            app, ["backfill", "--config", str(bank.config), "--from", str(NIGHT), "--to", str(LAST)]
        )
    assert (shown.exit_code, "the scheduler at tcp://127.0.0.1:1 cannot be had" in shown.stderr) == (1, True)
    assert "train" not in shown.stderr
    assert not (bank.folder / "nightscore.duckdb").exists()


@pytest.mark.soak
def test_a_dask_cluster_produces_the_same_tables_even_if_workers_are_killed(
    new: Bank, by_night: Bank
) -> None:
    new.configure("[challenger]", f"{DASK}[challenger]")
    killed: list[int] = []
    third = DATES[2]  # the parent process validates the first one too, and the second is rejected
    threading.Thread(target=kill_the_workers, args=(step_of(new, third), killed), daemon=True).start()
    with pytest.raises(BackfilledInPart, match="5 dates were scored, 1 failed"):
        backfill(new.config, DATES[0], LAST)
    assert len(killed) == 2
    assert_same(new, by_night)


@pytest.mark.soak
def test_an_interrupted_backfill_finishes_the_dates_in_progress_and_the_next_one_continues(
    new: Bank, by_night: Bank
) -> None:
    arguments = ["--config", str(new.config), "--from", str(DATES[0]), "--to", str(LAST)]
    environment = os.environ | {"PREFECT_API_URL": str(PREFECT_API_URL.value())}
    running = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.app", "backfill", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    while not step_of(new, DATES[2]).exists():
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    errors = running.communicate(timeout=120)[1]
    assert running.returncode == 130
    assert "waiting until what is begun is done" in errors
    assert "Traceback" not in errors
    with pytest.raises(BackfilledInPart, match="1 failed"):
        backfill(new.config, DATES[0], LAST)
    assert_same(new, by_night)


def step_of(bank: Bank, day: date) -> Path:
    """The file that shows that a date has been validated."""
    return bank.folder / "nightscore-files" / "small-bank" / "staging" / str(day) / "validate.json"


def kill_the_workers(validated: Path, killed: list[int]) -> None:
    """Kills every worker process as soon as one has validated the date and is scoring it."""
    while not validated.exists():
        time.sleep(0.02)
    for pid in filter(is_worker, children(os.getpid())):
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)


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
