"""What becomes of a version: its gates, its model card, its place in the registry."""

import json
import logging
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from banks import FIRST, NIGHT, ROWS, Bank, small_day

from flows.plain import nightly, retrain
from flows.settings import load_settings
from models.detector.score_kinds import COMBINED, SCORES
from tasks.core.errors import GateFailed
from tasks.registry.artifact_store import as_found, load
from tasks.warehouse.connection import Warehouse

pytestmark = pytest.mark.slow

WINDOW = [FIRST + timedelta(days=offset) for offset in range(1, 7)]


def make_useless(bank: Bank) -> None:
    """Frauds lie far out along the correlation of two features: no model sees them, and networks reconstruct
    them.
    """
    for day in WINDOW:
        along = np.random.default_rng(day.toordinal()).normal(size=ROWS)
        fraud = small_day(day)["is_fraud"].to_numpy()
        common = 1_000 + 100 * np.where(fraud, 3 * np.sign(along) + along, along)
        bank.change(
            day,
            lambda rows, common=common: rows.with_columns(
                amount=pl.Series(common), distance=pl.Series(common / 10)
            ),
        )


def test_a_version_is_registered_with_its_gates_and_its_card(scored_bank: Bank) -> None:
    (model,) = scored_bank.table("from models").to_dicts()
    gates = {gate["name"]: gate["passed"] for gate in json.loads(model["gates"])}
    assert gates == {"loss": True, "score diversity": True, "contamination": None, "usefulness": True}
    assert model["withheld"] is None
    assert model["known_frauds"] == 6 * ROWS // 40
    files = load_settings(scored_bank.config).files.parent
    card = (files / model["card_path"]).read_text()
    assert model["version"] in card
    assert all(finding["finding"].split(",")[0] in card for finding in json.loads(model["gates"]))


def test_known_frauds_are_kept_for_thresholds_and_cards_and_nothing_is_learnt_from_them(
    scored_bank: Bank,
) -> None:
    (model,) = scored_bank.table("from models").to_dicts()
    detector = load(
        as_found(
            Warehouse(load_settings(scored_bank.config).warehouse, "small-bank"), model["artifact_path"]
        ),
        model["artifact_sha256"],
    )
    frauds = pl.concat([small_day(day).filter("is_fraud") for day in WINDOW])
    assert len(detector.samples.anomalies) == len(detector.calibration.anomalies) == frauds.height
    np.testing.assert_allclose(np.sort(detector.calibration.anomalies), np.sort(detector.score(frauds).score))
    assert detector.calibration.normals == model["rows"] == 6 * ROWS - frauds.height


def test_a_strict_gate_keeps_a_useless_version_out_of_service_and_says_why(bank: Bank) -> None:
    make_useless(bank)
    bank.configure("[training]", '[training]\ngate = "strict"')
    for _ in range(2):  # the second time the version is known, and still not used
        with pytest.raises(
            GateFailed,
            match=r"kept out of service: usefulness failed\. Average precision on .* See .*html; fix",
        ) as refusal:
            nightly(bank.config, NIGHT)
    assert "\n" not in str(refusal.value)
    (model,) = bank.table("from models").to_dicts()
    assert model["withheld"].startswith("usefulness failed")
    assert "usefulness failed" in (load_settings(bank.config).files.parent / model["card_path"]).read_text()
    assert bank.table("from promotions").is_empty()
    assert bank.table("from scores").is_empty()


@pytest.mark.soak
def test_a_gate_that_only_warns_lets_the_night_go_on(bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "tasks.training")
    make_useless(bank)
    assert nightly(bank.config, NIGHT).status == "committed"
    assert "usefulness: Average precision on" in caplog.text


def test_a_threshold_from_labels_flags_by_the_known_frauds(scored_bank: Bank) -> None:
    scored_bank.configure("[training]", '[threshold]\nstrategy = "best_f1"\n[training]')
    done = nightly(scored_bank.config, NIGHT)
    scores = scored_bank.table("select id, is_flagged from scores")
    frauds = set(small_day(NIGHT).filter("is_fraud")["id"])
    assert set(scores.filter("is_flagged")["id"]) == frauds
    assert done.rows_flagged == len(frauds)


def test_the_score_that_auto_chose_is_the_one_that_is_stored(bank: Bank) -> None:
    bank.configure('score = "whitened"', 'score = "auto"')
    version = retrain(bank.config, NIGHT)
    chosen = load(version.path, version.sha256).settings.score
    assert chosen in {*SCORES, COMBINED}
    assert bank.table("from models")["score"].to_list() == [chosen]
