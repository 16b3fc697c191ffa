"""A head through whole nights: what it learns from, and that evaluations and explanations have it."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from banks import FIRST, NIGHT, Bank
from headed_banks import DELAY, HEAD, headed, source

from flows.settings import load_settings
from models.head.rows import first_tested
from models.networks.fitting import split
from tasks.core.identity import run_identity, training_identity
from tasks.labels.known_labels import known_labels
from tasks.training.head_rows import head_training, read_head_window
from tasks.training.window import KEYS, prepare, read_window, training_rows

TESTED = first_tested(NIGHT - timedelta(days=11), NIGHT - timedelta(days=3))  # of the 9 dates of the head
MATURED = TESTED - timedelta(days=DELAY + 1)


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
