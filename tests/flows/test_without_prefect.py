"""The plain functions behind the flows score the same night without Prefect's engine, server or artifacts."""

import subprocess
import sys

import pytest
from banks import NIGHT, Bank
from tables import TABLES, tables

from tasks.core.step import Retries, step

pytestmark = pytest.mark.slow


def test_a_night_without_prefect_produces_the_same_tables(bank: Bank, scored_bank: Bank) -> None:
    code = """
import sys
from datetime import date
from pathlib import Path
from flows.nightly import score_night
night = score_night(Path(sys.argv[1]), date.fromisoformat(sys.argv[2]))
print(night.status)
"""
    environment = {"PATH": "", "HOME": str(bank.folder), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    command = [sys.executable, "-c", code, str(bank.config), str(NIGHT)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert run.stdout == "committed\n"
    found, expected = tables(bank), tables(scored_bank)
    assert {name: found[name].equals(expected[name]) for name in TABLES} == dict.fromkeys(TABLES, True)


def test_a_step_outside_a_flow_run_is_tried_again_after_the_listed_errors() -> None:
    calls: list[int] = []

    @step
    def fails_twice(error: Exception) -> int:
        calls.append(1)
        if len(calls) < 3:
            raise error
        return len(calls)

    retried = fails_twice.with_retries(Retries(2, 0.0, (OSError,)))
    assert retried(OSError("not yet")) == 3
    calls.clear()
    with pytest.raises(ValueError, match="wrong"):
        retried(ValueError("wrong"))
    assert len(calls) == 1
