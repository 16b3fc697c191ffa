"""Whole nights on a small bank."""

import json
from datetime import timedelta

import duckdb
import numpy as np
import polars as pl
import pytest
from banks import DAYS, FIRST, NIGHT, ROWS, Bank, small_day

from flows.plain import nightly, retrain
from flows.settings import load_settings
from tasks.core.references import Night

pytestmark = pytest.mark.slow


def test_a_night_is_committed_with_every_row_accounted_for(scored_bank: Bank) -> None:
    (run,) = scored_bank.table("from runs").to_dicts()
    assert (run["status"], run["partition_date"], run["superseded_at"]) == ("committed", NIGHT, None)
    assert run["rows_source"] == run["rows_scored"] + run["rows_quarantined"] == ROWS
    scores = scored_bank.table("from scores order by rank")
    assert scores["id"].n_unique() == scores.height == run["rows_scored"]
    assert scores["is_flagged"].sum() == run["rows_flagged"]
    assert scores["is_flagged"].to_list() == (scores["score"] >= run["threshold"]).to_list()
    assert scores["score"].is_sorted(descending=True)
    assert scores["p_value"].is_between(0, 1, closed="right").all()
    assert set(json.loads(run["durations"])) >= {"ingest", "validate", "features", "score"}


def test_the_model_is_trained_only_on_labels_known_by_then(scored_bank: Bank) -> None:
    (model,) = scored_bank.table("from models").to_dicts()
    assert model["as_of"] == NIGHT
    assert (model["first_date"], model["last_date"]) == (NIGHT - timedelta(days=8), NIGHT - timedelta(days=3))
    assert model["rows"] == 6 * (ROWS - ROWS // 40)  # the known frauds are left out
    assert scored_bank.table("from champion")["version"].to_list() == [model["version"]]


def test_reasons_are_stored_only_for_flagged_and_unlikely_rows(scored_bank: Bank) -> None:
    scores = scored_bank.table("select *, is_flagged or p_value <= 0.05 as explained from scores")
    assert scores.filter("explained")["reasons"].list.len().unique().to_list() == [3]
    assert (
        scores.filter(~pl.col("explained"))["reasons"].null_count()
        == scores.filter(~pl.col("explained")).height
    )
    observed = scored_bank.table(
        """
        select id, reason.observed::double as amount
        from (select id, unnest(reasons) as reason from scores)
        where reason.feature = 'amount'
        """
    )
    source = pl.read_parquet(scored_bank.day_folder(NIGHT)).select("id", "amount")
    joined = observed.join(source, on="id", suffix="_source")
    assert joined.height == observed.height > 0
    assert np.allclose(joined["amount"], joined["amount_source"], rtol=1e-4)


def test_frauds_that_stand_out_rank_first(scored_bank: Bank) -> None:
    frauds = small_day(NIGHT).filter("is_fraud")["id"]
    worst = scored_bank.table(f"select id from scores where rank <= {len(frauds)}")["id"]
    assert len(set(worst) & set(frauds)) >= 0.8 * len(frauds)


def test_the_same_night_again_changes_nothing_and_reports_that(scored_bank: Bank) -> None:
    before = {
        name: scored_bank.table(f"from {name}").rows() for name in ("runs", "scores", "models", "promotions")
    }
    assert nightly(scored_bank.config, NIGHT).status == "already committed"
    assert {name: scored_bank.table(f"from {name}").rows() for name in before} == before


def test_a_forced_night_supersedes_the_earlier_one_with_the_same_scores(scored_bank: Bank) -> None:
    scores = "select id, error, score, p_value, rank, is_flagged from scores order by id"
    before = scored_bank.table(scores)
    night = nightly(scored_bank.config, NIGHT, force=True)
    assert scored_bank.table(scores).equals(before)
    assert scored_bank.table("select run_id from current_runs")["run_id"].to_list() == [night.run_id]
    assert scored_bank.table("select superseded_by from runs where superseded_at is not null")[
        "superseded_by"
    ].to_list() == [night.run_id]


def test_a_corrected_source_is_scored_again_and_a_late_label_is_not(scored_bank: Bank) -> None:
    scored_bank.change(NIGHT, lambda day: day.with_columns(is_fraud=pl.lit(None, pl.Boolean)))
    assert nightly(scored_bank.config, NIGHT).status == "already committed"
    scored_bank.change(NIGHT, lambda day: day.with_columns(amount=pl.col("amount") + 1))
    assert nightly(scored_bank.config, NIGHT).status == "committed"
    assert scored_bank.table("from current_runs").height == 1


def test_a_version_is_reused_until_a_training_is_due(scored_bank: Bank) -> None:
    first = nightly(scored_bank.config, NIGHT)
    assert nightly(scored_bank.config, NIGHT + timedelta(days=1)).model_version == first.model_version
    assert scored_bank.table("from models").height == 1


def test_training_on_demand_may_promote_and_training_again_gives_the_same_version(scored_bank: Bank) -> None:
    version = retrain(scored_bank.config, NIGHT + timedelta(days=1), promote=True)
    assert retrain(scored_bank.config, NIGHT + timedelta(days=1)) == version
    assert scored_bank.table("from models where version = '" + version.name + "'").height == 1
    assert nightly(scored_bank.config, NIGHT + timedelta(days=1)).model_version == version.name
    # A version never scores a date before its own.
    assert nightly(scored_bank.config, NIGHT).model_version != version.name


def test_a_duckdb_table_gives_the_same_scores_as_parquet(scored_bank: Bank) -> None:
    parquet = scored_bank.table(
        "select id, error, score, p_value, rank, is_flagged, reasons from scores order by id"
    )
    with duckdb.connect(str(scored_bank.folder / "core.duckdb")) as con:
        files = str(scored_bank.folder / "transactions" / "*" / "*.parquet")
        con.execute(
            "create table payments as select * from read_parquet($files) order by hash(id)", {"files": files}
        )
    scored_bank.configure(
        'path = "transactions/date={date}/*.parquet"',
        'database = "core.duckdb"\ntable = "payments"\ndate_column = "at"',
    )
    scored_bank.configure('name = "small-bank"', 'name = "small-bank"\n[warehouse]\nuri = "second.duckdb"')
    scored_bank.configure("[warehouse]\nwait_seconds = 1\n", "")
    nightly(scored_bank.config, NIGHT)
    with duckdb.connect(str(scored_bank.folder / "second.duckdb"), read_only=True) as con:
        table = con.sql(
            'select id, error, score, p_value, rank, is_flagged, reasons from "small-bank".scores order by id'
        ).pl()
    assert table.equals(parquet)


def test_a_dataset_without_labels_trains_on_all_rows_up_to_the_date(bank: Bank) -> None:
    bank.configure('label = "is_fraud"\n', "")
    night = nightly(bank.config, NIGHT)
    (model,) = bank.table("from models").to_dicts()
    assert night.status == "committed"
    assert model["rows"] == 6 * ROWS
    assert model["last_date"] == NIGHT - timedelta(days=1)


def test_a_bad_row_is_quarantined_with_its_rule_and_the_rest_is_scored(scored_bank: Bank) -> None:
    night = NIGHT + timedelta(days=1)
    scored_bank.change(
        night,
        lambda day: day.with_columns(
            amount=pl.when(pl.col("id").str.ends_with("5")).then(-1.0).otherwise("amount")
        ),
    )
    scored_bank.configure(
        "[quality.columns.amount]", "[quality]\nmax_bad_share = 0.2\n[quality.columns.amount]"
    )
    done = nightly(scored_bank.config, night)
    assert (done.rows_quarantined, done.rows_scored) == (ROWS // 10, ROWS - ROWS // 10)
    quarantined = scored_bank.table("from quarantine")
    assert quarantined["column_name"].unique().to_list() == ["amount"]
    assert '"amount":-1' in quarantined["content"][0].replace(" ", "")


def test_staging_is_left_empty(scored_bank: Bank) -> None:
    nightly(scored_bank.config, NIGHT + timedelta(days=1))
    staging = load_settings(scored_bank.config).files / "staging"
    assert list(staging.iterdir()) == []


def test_every_night_of_the_bank_can_be_scored_in_any_order(scored_bank: Bank) -> None:
    last = FIRST + timedelta(days=DAYS - 1)
    later: Night = nightly(scored_bank.config, last)
    earlier = nightly(scored_bank.config, NIGHT + timedelta(days=1))
    assert later.status == earlier.status == "committed"
    assert scored_bank.table("from daily")["partition_date"].to_list() == [
        last,
        NIGHT + timedelta(days=1),
        NIGHT,
    ]
