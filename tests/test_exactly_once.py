"""A night is published once, as a whole, whatever happens to its process and whoever else is at work."""

import os
import random
from pathlib import Path

import polars as pl
import polars.selectors as cs
import pytest
from banks import NIGHT, Bank
from processes import Running

from flows.nightly import nightly

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

KILLS = int(os.environ.get("NIGHTSCORE_KILLS", "4"))
TABLES = ("runs", "score_rows", "quarantine", "labels", "models", "promotions", "metrics")
OF_THE_RUN = ("run_id", "superseded_by", "durations", "artifact_sha256")  # what no two runs share, besides instants: Keras dates its files


def tables(bank: Bank) -> dict[str, pl.DataFrame]:
    """Every table of the bank, without what no two runs share."""
    return {name: sort(bank.table(f"from {name}").drop(OF_THE_RUN, strict=False).drop(cs.datetime(time_zone="*"))) for name in TABLES}


def sort(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort([name for name, kind in frame.schema.items() if not kind.is_nested()])


def half_visible(bank: Bank) -> list[tuple[object, ...]]:
    """Current runs of which a reader sees other rows than the ledger says."""
    if not (bank.folder / "nightscore.duckdb").exists() or not bank.schemas():
        return []
    counts = "select run_id, rows_scored, count(scores.id) as rows from current_runs left join scores using (run_id) group by all"
    return bank.table(f"from ({counts}) where rows <> rows_scored").rows()


def staged(bank: Bank) -> list[Path]:
    return list((bank.folder / "nightscore-files" / "small-bank" / "staging").iterdir())


@pytest.fixture(scope="module")
def undisturbed(scored_bank_template: Bank) -> dict[str, pl.DataFrame]:
    return tables(scored_bank_template)


@pytest.mark.parametrize("seed", range(KILLS))
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
    assert {name: frame.equals(undisturbed[name]) for name, frame in found.items()} == dict.fromkeys(TABLES, True)
    assert half_visible(bank) == []
    assert staged(bank) == []
