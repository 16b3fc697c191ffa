"""A night is published once, as a whole, whatever happens to its process and whoever else is at work."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from banks import NIGHT, ROWS, Bank
from processes import Running
from tables import TABLES, staged, tables

import tasks.scoring.score
from flows.plain import nightly
from flows.settings import Settings, load_settings
from tasks.core.errors import WarehouseHeld
from tasks.core.references import Scored
from tasks.publishing.brake import Brake
from tasks.publishing.commit import publish_night
from tasks.publishing.publish import publish_waiting, waiting_folders
from tasks.publishing.staged_night import FILE, read_staged
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.query import query

SECOND = NIGHT + timedelta(days=1)
pytestmark = pytest.mark.slow

KILLED_NIGHTS = int(os.environ.get("NIGHTSCORE_KILLED_NIGHTS", "1"))  # each is killed twice


def committing(bank: Bank) -> tuple[Settings, Warehouse, Brake]:
    """What a commit needs besides the staged night."""
    settings = load_settings(bank.config)
    return settings, Warehouse(settings.warehouse, settings.name), settings.evaluation.brake


def half_visible(bank: Bank) -> list[tuple[object, ...]]:
    """Current runs of which a reader sees other rows than the ledger says."""
    if not (bank.folder / "nightscore.duckdb").exists() or not bank.schemas():
        return []
    counts = (
        "select run_id, rows_scored, count(scores.id) as rows from current_runs left join scores "
        "using (run_id) group by all"
    )
    return bank.table(f"from ({counts}) where rows <> rows_scored").rows()


@pytest.fixture(scope="module")
def undisturbed(scored_bank_template: Bank) -> dict[str, pl.DataFrame]:
    return tables(scored_bank_template)


@pytest.mark.parametrize("seed", range(KILLED_NIGHTS))
def test_a_night_that_was_killed_and_run_again_is_as_if_nothing_had_happened(
    bank: Bank, undisturbed: dict[str, pl.DataFrame], seed: int
) -> None:
    moment = random.Random(seed)
    for _ in range(2):  # the second run dies as well, with what the first one has left
        if moment.random() < 0.5:
            Running(bank.config, NIGHT).kill_after(moment.uniform(0, 8))
        else:
            Running(bank.config, NIGHT, die_at=moment.randint(1, 30)).outcome()
        assert half_visible(bank) == []
    assert nightly(bank.config, NIGHT).status in ("committed", "already committed")
    found = tables(bank)
    assert {name: frame.equals(undisturbed[name]) for name, frame in found.items()} == dict.fromkeys(
        TABLES, True
    )
    assert half_visible(bank) == []
    assert staged(bank) == []


def test_of_two_processes_that_run_the_same_date_one_commits_and_the_other_says_so(
    bank: Bank, undisturbed: dict[str, pl.DataFrame]
) -> None:
    both = [Running(bank.config, NIGHT) for _ in range(2)]
    assert sorted(each.outcome() for each in both) == ["already committed", "committed"]
    assert {name: frame.equals(undisturbed[name]) for name, frame in tables(bank).items()} == dict.fromkeys(
        TABLES, True
    )
    assert staged(bank) == []


def test_two_machines_that_run_the_same_date_commit_it_once_in_a_lake(bank: Bank) -> None:
    bank.configure("wait_seconds = 1", 'wait_seconds = 60\nuri = "ducklake:sqlite:lake.sqlite"')
    both = [Running(bank.config, NIGHT, apart=True) for _ in range(2)]
    assert sorted(each.outcome() for each in both) == ["already committed", "committed"]
    settings = load_settings(bank.config)
    counted = {
        name: query(Warehouse(settings.warehouse, settings.name), f"select count(*) from {name}").rows[0][0]
        for name in TABLES
    }
    assert (counted["runs"], counted["models"], counted["promotions"]) == (1, 1, 1)
    assert query(
        Warehouse(settings.warehouse, settings.name), "select count(*), count(distinct id) from scores"
    ).rows == [(ROWS, ROWS)]


@contextmanager
def held(bank: Bank) -> Iterator[int]:
    """Another process holds the warehouse; gives its number."""
    hold = (
        f"import duckdb; con = duckdb.connect({str(bank.folder / 'nightscore.duckdb')!r}); "
        "print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        yield holder.pid
        holder.communicate("\n")


@pytest.fixture
def waiting(scored_bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Bank:
    """The bank after its second night has been scored and could not be committed, for another process held
    the warehouse.
    """
    score_day, holding = tasks.scoring.score.score_day, ExitStack()

    def score_then_hold(*arguments: Any) -> Scored:
        scored = score_day(*arguments)
        holding.enter_context(held(scored_bank))
        return scored

    with monkeypatch.context() as patched, holding:
        patched.setattr(tasks.scoring.score, "score_day", score_then_hold)
        with pytest.raises(WarehouseHeld, match=rf"{SECOND}.*PID.*nightscore publish"):
            nightly(scored_bank.config, SECOND)
    monkeypatch.setattr(
        tasks.scoring.score, "score_day", lambda *_: pytest.fail("the night was scored twice")
    )
    return scored_bank


@pytest.mark.parametrize("chance", ["publish", "the date again", "another date"])
def test_a_night_that_met_a_held_warehouse_is_committed_at_the_next_chance_and_not_scored_again(
    waiting: Bank, chance: str
) -> None:
    assert waiting.table("from current_runs")["partition_date"].to_list() == [NIGHT]
    if chance == "publish":
        (night,) = publish_waiting(*committing(waiting))
    else:
        night = nightly(waiting.config, SECOND if chance == "the date again" else NIGHT)
    assert night.status == ("already committed" if chance == "another date" else "committed")
    assert waiting.table("select partition_date from current_runs order by all")[
        "partition_date"
    ].to_list() == [NIGHT, SECOND]
    assert half_visible(waiting) == []
    assert staged(waiting) == []


def test_what_waits_gives_way_to_a_run_that_began_later_and_is_committed_only_once(waiting: Bank) -> None:
    settings = load_settings(waiting.config)
    (folder,) = waiting_folders(settings.files)
    publication = read_staged(folder)
    assert publication
    later = replace(publication, run_id="later", started_at=datetime.now(UTC), config_hash="another")
    assert publish_night(*committing(waiting), later).status == "committed"
    assert (
        publish_night(*committing(waiting), replace(later, run_id="the same")).status == "already committed"
    )
    assert (
        publish_night(*committing(waiting), replace(later, run_id="forced", force=True)).status == "committed"
    )
    assert (
        publish_night(*committing(waiting), replace(later, run_id="forced", force=True)).status
        == "already committed"
    )
    assert publish_waiting(*committing(waiting)) == []
    assert waiting.table("from current_runs where partition_date = '" + str(SECOND) + "'")[
        "run_id"
    ].to_list() == ["forced"]
    assert waiting.table("from runs where superseded_by = 'forced'")["run_id"].to_list() == ["later"]
    assert staged(waiting) == []


def test_a_night_that_the_version_before_staged_is_dropped_with_a_warning(
    waiting: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(waiting.config)
    (folder,) = waiting_folders(settings.files)
    content = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps({name: content[name] for name in content if name != "format"}))
    assert publish_waiting(*committing(waiting)) == []
    assert f"{SECOND}  publish" in caplog.text
    assert f"nightscore run --date {SECOND}" in caplog.text
    assert staged(waiting) == []
    assert waiting.table("select partition_date from current_runs").rows() == [(NIGHT,)]
