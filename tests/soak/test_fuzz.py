"""Nights on deliveries that are changed at random, in one process: each is committed with every row accounted
for, or refused in one line that names its date, and changes nothing but the ledger.
"""

import gc
import os
import random
from datetime import date, timedelta
from pathlib import Path

import duckdb
import psutil
import pytest
from banks import FIRST, Bank, found_bank, small_day
from mutations import write_mutated
from typer.testing import CliRunner

from flows.cli.app import app
from tasks.core.filesystem import exact_pattern

NIGHTS = int(os.environ.get("NIGHTSCORE_FUZZED_NIGHTS", "500"))
SEED = int(os.environ.get("NIGHTSCORE_FUZZ_SEED", "0"))
START = FIRST + timedelta(days=10)
WARM_UP, ROWS = 60, 120  # nights until memory is measured; rows of a night
LABELS = [
    "{id},{label},{day}T12:00:00,phone\n",
    "{id},{label},,phone\n",
    " {id} , {label} ,{day},phone\n",
    "{id},maybe,{day},phone\n",
    "nobody,{label},{day},phone\n",
    "{id},{label},inf,phone\n",
    '"{id}\n',
    "{id},{label},{day},phone\n{id},{other},{day},phone\n",
]
pytestmark = [pytest.mark.soak, pytest.mark.timeout(3 * 3600)]


def content(bank: Bank) -> dict[str, tuple[int, int | None]]:
    """The number of rows of each table, and the sum of their hashes."""
    with duckdb.connect(str(bank.folder / "nightscore.duckdb"), read_only=True) as con:
        con.execute('use "small-bank"')
        names = [name for (name,) in con.sql("select table_name from duckdb_tables()").fetchall()]
        return {
            name: con.sql(f'select count(*), sum(hash(t))::hugeint from "{name}" as t').fetchone()
            or (0, None)
            for name in names
        }


def invoke(*arguments: str) -> tuple[int, str]:
    """The exit status of a command, and the last line on standard error."""
    result = CliRunner().invoke(app, list(arguments))
    lines = result.stderr.splitlines()
    return result.exit_code, lines[-1] if lines else ""


def expect_conserved(bank: Bank, day: date) -> None:
    """Every id that was delivered is scored or in quarantine, and no other."""
    files = [path for path in bank.day_folder(day).glob("*.parquet") if path.name[0] not in "._"]
    listed = [exact_pattern(str(path)) for path in files]
    (delivered,) = duckdb.sql(f"select sum(num_rows) from parquet_file_metadata({listed})").fetchall()[0]
    query = (
        f"select rows_source, rows_scored, rows_quarantined from daily where partition_date = date '{day}'"
    )
    source, scored, refused = bank.table(query).row(0)
    assert (source, scored + refused) == (delivered, delivered)
    current = (
        f"from score_rows join current_runs using (run_id) where score_rows.partition_date = date '{day}'"
    )
    assert bank.table(f"select count(*), count(distinct id) {current}").row(0) == (scored, scored)


def expect_refused(line: str, day: date, before: dict[str, object], after: dict[str, object]) -> None:
    assert line.startswith("nightscore: ")
    assert str(day) in line
    assert not line.startswith("nightscore: unexpected")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {"runs"}


def fuzz_labels(draw: random.Random, bank: Bank, day: date) -> None:
    line = draw.choice(LABELS)
    ids = [f"{day:%m%d}-{draw.randrange(ROWS):05d}" for _ in range(draw.choice([1, 5]))]
    known = day + timedelta(days=draw.choice([-1, 0, 3]))
    text = "".join(line.format(id=each, label=draw.choice([0, 1]), other=2, day=known) for each in ids)
    path = bank.folder / "labels.csv"
    path.write_text(
        "id,label,known_at,source\n" + text, encoding=draw.choice(["utf-8", "utf-8-sig", "utf-16"])
    )
    before = content(bank)
    status, said = invoke("labels", "--file", str(path), "--config", str(bank.config))
    assert not said.startswith("nightscore: unexpected")
    if status:
        assert said.startswith("nightscore: ")
        assert content(bank) == before


def test_a_night_is_committed_whole_or_refused_in_one_line(tmp_path: Path) -> None:
    bank, draw, process = found_bank(tmp_path / "bank"), random.Random(SEED), psutil.Process()
    bank.configure("window_days = 6", "window_days = 6\nretrain_every_days = 60")
    bank.configure("[quality.columns.amount]", "[quality]\nmax_bad_share = 0.6\n[quality.columns.amount]")
    assert invoke("run", "--date", str(START), "--config", str(bank.config))[0] == 0
    statuses, memory, handles = [], 0, 0
    for number in range(1, NIGHTS + 1):
        day = START + timedelta(days=number)
        if (folder := bank.day_folder(day)).exists():
            (folder / "part-0.parquet").unlink()
            folder.rmdir()
        names = write_mutated(draw, folder, day, small_day(day, ROWS))
        before = content(bank)
        status, line = invoke("run", "--date", str(day), "--config", str(bank.config))
        statuses.append(status)
        try:
            if status == 1:
                expect_refused(line, day, before, content(bank))
            else:
                expect_conserved(bank, day)
                fuzz_labels(draw, bank, day)
        except Exception as error:
            raise AssertionError(f"night {number} of seed {SEED}, {', '.join(names)}: {line}") from error
        if number == WARM_UP:
            gc.collect()
            memory, handles = process.memory_info().rss, process.num_fds()
    assert {0, 1} <= set(statuses)
    gc.collect()
    if memory:
        assert process.memory_info().rss < memory + 300 * 2**20
        assert process.num_fds() <= handles
    assert not process.children()
