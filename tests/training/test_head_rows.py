"""A head through whole nights: what it learns from, and that evaluations and explanations have it."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from banks import DAYS, FIRST, NIGHT, Bank
from typer.testing import CliRunner

from flows.cli.app import app
from flows.plain import evaluate, nightly
from flows.settings import Settings, load_settings
from models.head.rows import first_tested
from models.networks.fitting import split
from tasks.core.identity import run_identity, training_identity
from tasks.evaluation.explain import explain_row
from tasks.evaluation.replay import replay
from tasks.labels.known_labels import known_labels
from tasks.monitoring.settings import ChallengerSettings
from tasks.monitoring.without_head import tell_heads
from tasks.registry.versions import find_champion
from tasks.training.head_rows import head_training, read_head_window
from tasks.training.window import KEYS, prepare, read_window, training_rows

HEAD = '\n[head]\nkind = "auto"\nwindow_days = 9\nleast_frauds = 10\n'
DELAY = 2
TESTED = first_tested(NIGHT - timedelta(days=11), NIGHT - timedelta(days=3))  # of the 9 dates of the head
MATURED = TESTED - timedelta(days=DELAY + 1)


def headed(bank: Bank) -> Settings:
    """The bank with a head, and with frauds on every date that no network finds strange."""
    is_fraud = (pl.col("channel") == "tap") & pl.col("distance").is_between(4, 7)
    kind = pl.when(pl.col("distance") > 5.5).then(pl.lit("far")).otherwise(pl.lit("near"))
    for offset in range(DAYS):
        bank.change(
            FIRST + timedelta(days=offset), lambda day: day.with_columns(is_fraud=is_fraud, kind=kind)
        )
    bank.configure('label = "is_fraud"', 'label = "is_fraud"\nlabel_kind = "kind"')
    bank.config.write_text(bank.config.read_text() + HEAD)
    return load_settings(bank.config)


def source(bank: Bank) -> pl.DataFrame:
    days = [FIRST + timedelta(days=offset) for offset in range(DAYS)]
    return pl.concat(
        [
            pl.read_parquet(bank.day_folder(day) / "part-0.parquet").with_columns(partition_date=pl.lit(day))
            for day in days
        ]
    )


@pytest.mark.slow
def test_a_head_learns_from_known_frauds_and_from_normal_rows_that_no_network_learnt(
    bank: Bank, tmp_path: Path
) -> None:
    settings, warehouse = headed(bank), None
    warehouse = settings.open_warehouse()
    first, last = settings.training_window(NIGHT)
    window = read_head_window(settings, warehouse, NIGHT)
    assert window is not None
    assert (window.last - window.first, window.last) == (timedelta(days=8), last)
    assert [each.date for each in window.earlier] == [FIRST]
    labels = known_labels(settings, warehouse, first, last, NIGHT - timedelta(days=1))
    suspects = window.labels.filter(~pl.col("label"))[5:25].select(KEYS)
    window = type(window)(**vars(window) | {"unconfirmed": suspects})
    days = prepare(settings, read_window(settings, first, last, tmp_path)[0], tmp_path)[0]
    rows = training_rows(settings, days, labels, suspects.clear(), window.kept)
    learnt = head_training(settings, window, days, rows, tmp_path / "head").rows

    everything = source(bank).filter(pl.col("partition_date") <= last)
    first_fraud = pl.col("partition_date").filter("is_fraud").min().over("card")
    is_known = (pl.col("partition_date") > first_fraud + timedelta(days=DELAY)).fill_null(False)
    new = everything.filter(~is_known)
    assert learnt.frauds.sum() == new["is_fraud"].sum() > 50
    kept = rows.keys[split(rows.keys.height, settings.training.seed).validation]
    earlier = new.filter(partition_date=FIRST).select(pl.lit(FIRST).alias("partition_date"), "id")
    allowed = pl.concat([kept, earlier]).join(suspects, on=KEYS, how="anti")
    normals = new.filter(~pl.col("is_fraud")).join(allowed, on=KEYS, how="semi")
    assert np.count_nonzero(~learnt.frauds) == normals.height
    assert learnt.known_then.sum() == learnt.frauds[learnt.dates <= np.datetime64(MATURED)].sum() > 5
    found = learnt.features.filter(~pl.Series(learnt.frauds))
    assert sorted(found["amount"].to_list()) == sorted(normals["amount"].to_list())
    assert (learnt.unconfirmed, learnt.compromised > 0) == (20, True)
    weights = learnt.weights[~learnt.frauds]
    assert weights[learnt.dates[~learnt.frauds] > np.datetime64(FIRST)].min() > 5 > weights.min() >= 1


def test_a_trial_knows_no_label_that_was_reported_later(bank: Bank) -> None:
    settings = headed(bank)
    warehouse = settings.open_warehouse()
    reported = """
        insert into labels by name
        select $id as id, $day as partition_date, true as label, $known as known_at, 'chargeback' as source,
            now() as recorded_at
    """
    ids = source(bank).filter(~pl.col("is_fraud"), partition_date=FIRST)["id"]
    for row_id, known in zip(ids[:2], (TESTED - timedelta(days=1), TESTED), strict=True):
        given = {"id": row_id, "day": FIRST, "known": known}
        warehouse.transact(lambda con, given=given: con.execute(reported, given))
    window = read_head_window(settings, warehouse, NIGHT)
    assert window is not None
    assert set(ids[:2]) < set(window.labels.filter("label")["id"])
    assert (ids[0] in window.known_then["id"], ids[1] in window.known_then["id"]) == (True, False)
    assert window.known_then["partition_date"].max() == MATURED


@pytest.mark.slow
def test_a_version_with_a_head_goes_through_night_evaluation_and_explanation(
    bank: Bank, tmp_path: Path
) -> None:
    headed(bank)
    shared = '[threshold]\nstrategy = "budget"\nvalue = 6\nreserve = 0.5\n'
    bank.config.write_text(bank.config.read_text() + shared)
    settings = load_settings(bank.config)
    warehouse = settings.open_warehouse()
    night = nightly(bank.config, NIGHT)
    assert (night.status, night.rows_flagged, night.rows_unknown) == ("committed", 6, 3)
    in_turn = "select flagged_by, alert from alerts order by alert"
    turns = [("known pattern", "unknown pattern")[place % 2] for place in range(6)]
    assert bank.table(in_turn)["flagged_by"].to_list() == turns
    again = replay(settings, warehouse, NIGHT, datetime.now(UTC), tmp_path / "replayed")
    assert (again.computed.flagged, again.differences) == (6, ())
    version = find_champion(settings, warehouse, NIGHT)
    assert version is not None
    assert (Path(version.path) / "head.txt").read_text().startswith("tree\n")
    card = version.card.read_text()
    assert "Rows of the head" in card
    assert "by a head that was learnt from the labels known before" in card
    found, page = evaluate(bank.config, NIGHT, NIGHT, NIGHT + timedelta(days=DELAY))
    assert [alert.flagged_by for alert in found.alerts] == turns
    assert found.confusion is not None
    assert {line.kind for line in found.kinds} == {"far", "near"}
    assert sum(line.frauds_flagged for line in found.kinds) == found.confusion.tp
    assert sum(line.rows for line in found.kinds) == found.positives
    assert "<h2>Recall by kind</h2>" in page.read_text()
    assert page.read_text().count('<td class="nowrap">unknown pattern</td>') == 3
    assert found.ranking is not None
    better = found.ranking.differences["without_head"]["average_precision"]
    assert better.value is not None
    assert better.value > 0.2
    both = {"champion": version.name, "challenger": version.name}
    known = NIGHT + timedelta(days=DELAY)
    rows = warehouse.frame("monitoring/list_shared_scores", **both, dates=[NIGHT], as_of=known)
    told = tell_heads(settings, warehouse, ChallengerSettings(), {"challenger": version}, rows)
    assert told.startswith("; without its head the challenger has 0.")
    assert re.search(r"interval \+0\.\d+\.\.\+0\.\d+ of what the head adds$", told)
    frauds = source(bank).filter(pl.col("partition_date") == NIGHT, "is_fraud")["id"]
    explained = explain_row(settings, warehouse, NIGHT, frauds[0], tmp_path)
    assert {explained.shares[0].feature, explained.shares[1].feature} == {"channel", "distance"}
    assert sum(share.share for share in explained.shares) == pytest.approx(1)
    usual = source(bank).filter(pl.col("partition_date") == NIGHT, pl.col("channel") == "chip")["id"][0]
    shown = CliRunner().invoke(
        app, ["explain", "--date", str(NIGHT), "--id", usual, "--config", str(bank.config)]
    )
    assert "speaks against" in shown.stdout
    assert bank.table("select distinct metrics ->> 'head' from models").rows() == [("true",)]
    assert nightly(bank.config, NIGHT).status == "already committed"


def test_no_date_is_read_for_a_head_that_is_not_learnt(bank: Bank) -> None:
    bank.config.write_text(bank.config.read_text() + HEAD.replace("= 10", "= 1000"))
    settings = load_settings(bank.config)
    window = read_head_window(settings, settings.open_warehouse(), NIGHT)
    assert window is not None
    assert window.why_none == "70 known frauds in 9 dates are too few: at least 1,000 are needed."
    assert window.earlier == []
    everything = settings.model_copy(
        update={"training": settings.training.model_copy(update={"rows": "all"})}
    )
    of_all = read_head_window(everything, settings.open_warehouse(), NIGHT)
    assert of_all is not None
    assert of_all.why_none == 'the networks learn all rows (training.rows = "all").'


def test_the_keys_of_a_head_belong_to_the_identity_only_where_there_is_one(bank: Bank) -> None:
    without = load_settings(bank.config)
    bank.config.write_text(bank.config.read_text() + HEAD.replace("auto", "none"))
    assert run_identity(load_settings(bank.config)) == run_identity(without)
    assert training_identity(load_settings(bank.config)) == training_identity(without)
    seen = set()
    for old, new in (("none", "auto"), ("= 9", "= 8"), ("= 10", "= 11"), ('"auto"', '"boosted"')):
        bank.configure(old, new)
        seen.add(training_identity(load_settings(bank.config)).current)
    assert len(seen - {*training_identity(without).hashes}) == 4
