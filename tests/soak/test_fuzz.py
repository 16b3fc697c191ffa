"""Nights on deliveries that are changed at random, in one process: each is committed with every row accounted
for, or refused in one line that names its date, and changes nothing but the ledger.
"""

import gc
import os
import random
import shutil
from datetime import date, timedelta
from pathlib import Path

import duckdb
import psutil
import pytest
from banks import FIRST, Bank, small_day
from forms import FORMS, Form, found_bank_in
from label_mutations import write_lines
from mutations import write_mutated
from typer.testing import CliRunner

from flows.cli.app import app

NIGHTS = int(os.environ.get("NIGHTSCORE_FUZZED_NIGHTS", "500"))  # of all forms
SEED = int(os.environ.get("NIGHTSCORE_FUZZ_SEED", "0"))
START = FIRST + timedelta(days=10)
WARM_UP, ROWS = 60, 120  # nights until memory is measured; rows of a night
RECORDED = {"labels", "answers", "alert_rules", "publish_lock"}  # tables that labels and answers change
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


def expect_conserved(bank: Bank, day: date, delivered: int) -> None:
    """Every row that was delivered is scored or in quarantine, and no other."""
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


def fuzz_answers(draw: random.Random, bank: Bank, day: date) -> None:
    """A file of labels or answers is recorded whole, or refused and changes nothing."""
    command = draw.choice(["labels", "answer"])
    ids = [f"{day:%m%d}-{draw.randrange(ROWS):05d}" for _ in range(draw.choice([1, 5]))]
    known = day if command == "answer" else day + timedelta(days=draw.choice([-1, 0, 3]))
    path, before = write_lines(draw, bank.folder, command, ids, known), content(bank)
    who = ["--by", "Ada"] if command == "answer" else []
    status, line = invoke(command, "--file", str(path), *who, "--config", str(bank.config))
    after = content(bank)
    assert not line.startswith("nightscore: unexpected"), path.read_bytes()
    assert {name for name in after if after[name] != before[name]} <= RECORDED
    if status:
        assert line.startswith("nightscore: "), path.read_bytes()
        assert after == before, path.read_bytes()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_night_is_committed_whole_or_refused_in_one_line(tmp_path: Path, form: Form) -> None:
    bank, draw, process = found_bank_in(form, tmp_path / "bank"), random.Random(SEED), psutil.Process()
    bank.configure("window_days = 6", "window_days = 6\nretrain_every_days = 60")
    bank.configure("[quality.columns.amount]", "[quality]\nmax_bad_share = 0.6\n[quality.columns.amount]")
    assert invoke("run", "--date", str(START), "--config", str(bank.config))[0] == 0
    statuses, memory, handles = [], 0, 0
    for number in range(1, NIGHTS // len(FORMS) + 1):
        day = START + timedelta(days=number)
        shutil.rmtree(form.day_folder(bank, day), ignore_errors=True)
        names = write_mutated(draw, form.day_folder(bank, day), small_day(day, ROWS), form.odd)
        before = content(bank)
        status, line = invoke("run", "--date", str(day), "--config", str(bank.config))
        statuses.append(status)
        try:
            if status == 1:
                expect_refused(line, day, before, content(bank))
            else:
                expect_conserved(bank, day, form.rows(form.day_folder(bank, day), day))
                fuzz_answers(draw, bank, day)
        except Exception as error:
            raise AssertionError(f"night {number} of seed {SEED}, {', '.join(names)}: {line}") from error
        if form.is_shared:
            form.write(bank, day, small_day(day, ROWS))
        if number == WARM_UP:
            gc.collect()
            memory, handles = process.memory_info().rss, process.num_fds()
    assert {0, 1} <= set(statuses)
    gc.collect()
    if memory:
        assert process.memory_info().rss < memory + 300 * 2**20
        assert process.num_fds() <= handles
    assert not process.children()
