"""Nights with a head and a shared list: evaluated, explained, replayed, backfilled, pruned, as frames."""

import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from banks import NIGHT, Bank, found_bank
from headed_banks import DELAY, SHARED, headed, source
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import nightscore as ns
from flows.cli.app import app
from flows.cli.tables import evaluation_tables
from flows.plain import backfill, evaluate, nightly
from flows.settings import Settings, load_settings
from tasks.core.errors import EvaluationError
from tasks.core.references import Version
from tasks.evaluation.explain import explain_row
from tasks.evaluation.replay import replay
from tasks.monitoring.settings import ChallengerSettings
from tasks.monitoring.without_head import tell_heads
from tasks.operations.prune import prune
from tasks.registry.versions import find_champion

pytestmark = pytest.mark.slow
NEXT = NIGHT + timedelta(days=1)
TURNS = ["known pattern", "unknown pattern"] * 3  # of the six alerts of a night


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """After its first night and a backfill of the two that follow."""
    bank = found_bank(tmp_path_factory.mktemp("headed") / "bank")
    headed(bank)
    bank.config.write_text(bank.config.read_text() + SHARED)
    night = nightly(bank.config, NIGHT)
    assert (night.status, night.rows_flagged, night.rows_unknown) == ("committed", 6, 3)
    later = backfill(bank.config, NEXT, NEXT + timedelta(days=1))
    assert [(each.rows_flagged, each.rows_unknown) for each in later] == [(6, 3)] * 2
    assert {each.model_version for each in later} == {night.model_version}
    return bank


@pytest.fixture
def settings(bank: Bank) -> Settings:
    return load_settings(bank.config)


@pytest.fixture
def version(settings: Settings) -> Version:
    found = find_champion(settings, settings.open_warehouse(), NIGHT)
    assert found is not None
    return found


def test_a_night_shares_its_list_and_says_by_which_order_each_alert_is_there(
    bank: Bank, version: Version
) -> None:
    for day in (NIGHT, NEXT):
        listed = f"select flagged_by from alerts where partition_date = '{day}' order by alert"
        assert bank.table(listed)["flagged_by"].to_list() == TURNS
    assert (Path(version.path) / "head.txt").read_text().startswith("tree\n")
    card = version.card.read_text()
    assert "Rows of the head" in card
    assert "by a head that was learnt from the labels known before" in card
    assert "0.5 of a night&#39;s list" in card or "0.5 of a night's list" in card
    assert bank.table("select distinct metrics ->> 'head' from models").rows() == [("true",)]
    assert nightly(bank.config, NIGHT).status == "already committed"


def test_an_evaluation_has_the_figures_without_the_head_and_the_recall_of_each_kind(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    found, page = evaluate(bank.config, NIGHT, NIGHT, NIGHT + timedelta(days=DELAY))
    assert [alert.flagged_by for alert in found.alerts] == TURNS
    assert page.read_text().count('<td class="nowrap">unknown pattern</td>') == 3
    assert found.confusion is not None
    assert {line.kind for line in found.kinds} == {"far", "near"}
    assert sum(line.frauds_flagged for line in found.kinds) == found.confusion.tp
    assert sum(line.rows for line in found.kinds) == found.positives
    assert "<h2>Recall by kind</h2>" in page.read_text()
    assert found.ranking is not None
    better = found.ranking.differences["without_head"]["average_precision"]
    assert better.value is not None
    assert better.value > 0.2
    evaluation_tables(found)
    printed = capsys.readouterr().out
    assert "without head" in printed
    assert "Recall by kind" in printed


def test_a_decision_says_what_the_head_bought(settings: Settings, version: Version) -> None:
    warehouse, known = settings.open_warehouse(), NIGHT + timedelta(days=DELAY)
    both = {"champion": version.name, "challenger": version.name}
    rows = warehouse.frame("monitoring/list_shared_scores", **both, dates=[NIGHT], as_of=known)
    told = tell_heads(settings, warehouse, ChallengerSettings(), {"challenger": version}, rows)
    assert told.startswith("; without its head the challenger has 0.")
    assert re.search(r"interval \+0\.\d+\.\.\+0\.\d+ of what the head adds$", told)


def test_a_row_is_explained_by_the_head_and_the_networks(
    bank: Bank, settings: Settings, tmp_path: Path
) -> None:
    rows = source(bank).filter(pl.col("partition_date") == NIGHT)
    explained = explain_row(
        settings, settings.open_warehouse(), NIGHT, rows.filter("is_fraud")["id"][0], tmp_path
    )
    assert {explained.shares[0].feature, explained.shares[1].feature} == {"channel", "distance"}
    assert sum(share.share for share in explained.shares) == pytest.approx(1)
    usual = rows.filter(pl.col("channel") == "chip")["id"][0]
    shown = CliRunner().invoke(
        app, ["explain", "--date", str(NIGHT), "--id", usual, "--config", str(bank.config)]
    )
    assert "speaks against" in shown.stdout


@pytest.mark.parametrize("day", [NIGHT, NEXT])
def test_a_replay_flags_what_the_night_flagged(settings: Settings, day: date, tmp_path: Path) -> None:
    replayed = replay(settings, settings.open_warehouse(), day, datetime.now(UTC), tmp_path)
    assert replayed.stored.rule == replayed.computed.rule == "budget 6, reserve 0.5"
    assert (replayed.computed.flagged, replayed.differences, replayed.why) == (6, (), ())


def test_the_champion_gives_a_frame_the_figures_of_the_night_to_the_last_bit(bank: Bank) -> None:
    night = ns.scores(bank.config, NIGHT).sort("id")
    rows = pl.read_parquet(bank.day_folder(NIGHT) / "part-0.parquet")
    champion = ns.load(bank.config).champion()
    found = champion.score(rows).sort("id")
    assert found.columns[-2:] == ["is_flagged", "flagged_by"]
    assert_frame_equal(found, night.select(found.columns), check_exact=True)
    reasons = night.select("id", "reasons").filter(pl.col("reasons").is_not_null())
    of_frame = champion.explain(rows).filter(pl.col("id").is_in(reasons["id"].implode())).sort("id")
    assert of_frame["reasons"].to_list() == reasons["reasons"].to_list()
    by_score = champion.score(rows, threshold={"strategy": "budget", "value": 6})
    assert "flagged_by" not in by_score.columns


def test_pruned_nights_keep_their_champion_with_its_head_and_say_that_they_are_pruned(
    bank: Bank, tmp_path: Path
) -> None:
    shutil.copytree(bank.folder, tmp_path / "pruned")
    settings = load_settings(tmp_path / "pruned" / "nightscore.toml")
    warehouse = settings.open_warehouse()
    version = find_champion(settings, warehouse, NIGHT)
    assert version is not None
    assert Path(version.path).is_relative_to(tmp_path)
    prune(warehouse, 1, date.today() + timedelta(days=9), scores=True, yes=True)
    assert (Path(version.path) / "alone.parquet").exists()
    with warehouse.reading() as con:
        assert con.sql("select count(*) from score_rows").fetchall() == [(0,)]
    with pytest.raises(EvaluationError, match="pruned"):
        explain_row(settings, warehouse, NIGHT, "0110-00007", tmp_path)
