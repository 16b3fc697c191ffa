"""Why a row has its score, from the stored night and its source."""

from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest
from banks import NIGHT, Bank

from flows.settings import load_settings
from tasks.core.errors import EvaluationError
from tasks.core.masking import MASK
from tasks.evaluation.explain import ExplainedRow, explain_row
from tasks.warehouse.connection import Warehouse

pytestmark = pytest.mark.slow


def explained(bank: Bank, row_id: str, staging: Path) -> ExplainedRow:
    settings = load_settings(bank.config)
    return explain_row(settings, Warehouse(settings.warehouse, settings.name), NIGHT, row_id, staging)


def test_every_feature_has_its_share_in_the_score_of_any_row(scored_bank: Bank, tmp_path: Path) -> None:
    for rank in (1, 200):
        (stored,) = scored_bank.table(f"from scores where rank = {rank}").to_dicts()
        row = explained(scored_bank, stored["id"], tmp_path)
        assert (row.score, row.p_value, row.is_flagged) == (
            stored["score"],
            stored["p_value"],
            stored["is_flagged"],
        )
        assert {share.feature for share in row.shares} == {"amount", "distance", "channel"}
        assert sum(share.share for share in row.shares) == pytest.approx(1)
        assert sum(share.contribution for share in row.shares) == pytest.approx(stored["score"], rel=1e-3)
        source = pl.read_parquet(scored_bank.day_folder(NIGHT)).row(
            by_predicate=pl.col("id") == stored["id"], named=True
        )
        observed = {share.feature: share.observed for share in row.shares}
        assert float(observed["amount"]) == pytest.approx(source["amount"], rel=1e-4)
        assert observed["channel"] == source["channel"]


def test_a_row_is_found_by_its_id_whatever_its_place_in_the_source(scored_bank: Bank, tmp_path: Path) -> None:
    (worst,) = scored_bank.table("select id from scores where rank = 1")["id"]
    before = explained(scored_bank, worst, tmp_path / "before")
    scored_bank.change(NIGHT, lambda rows: rows.reverse())
    assert explained(scored_bank, worst, tmp_path / "after") == before


def test_the_stored_reasons_are_the_largest_shares(scored_bank: Bank, tmp_path: Path) -> None:
    (stored,) = scored_bank.table("select id, reasons from scores where rank = 1").to_dicts()
    shares = explained(scored_bank, stored["id"], tmp_path).shares
    assert [asdict(share) for share in shares[:3]] == stored["reasons"]
    assert [share.share for share in shares] == sorted((share.share for share in shares), reverse=True)


def test_private_values_are_masked(scored_bank: Bank, tmp_path: Path) -> None:
    (worst,) = scored_bank.table("select id from scores where rank = 1")["id"]
    scored_bank.configure('label = "is_fraud"', 'label = "is_fraud"\nprivate = ["amount"]')
    amount = next(
        share for share in explained(scored_bank, worst, tmp_path).shares if share.feature == "amount"
    )
    assert (amount.observed, amount.expected, amount.usual) == (MASK, MASK, MASK)
    assert amount.share > 0


def test_a_row_that_is_not_scored_and_a_source_that_changed_are_refused(
    scored_bank: Bank, tmp_path: Path
) -> None:
    (worst,) = scored_bank.table("select id from scores where rank = 1")["id"]
    with pytest.raises(EvaluationError, match="no row with id nobody is scored"):
        explained(scored_bank, "nobody", tmp_path)
    scored_bank.change(NIGHT, lambda day: day.with_columns(pl.col("amount") + 1))
    with pytest.raises(EvaluationError, match="the source has changed"):
        explained(scored_bank, worst, tmp_path)
