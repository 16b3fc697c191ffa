"""What training leaves out: known frauds, and flagged rows that no label explains; and that this makes no
spiral of thresholds.
"""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from banks import NIGHT, ROWS, Bank
from numpy.typing import NDArray
from typer.testing import CliRunner

from flows.cli.app import app
from flows.settings import load_settings
from models.detector.detector import Detector, train
from models.errors import TrainingError
from models.networks.fitting import split
from models.settings import ModelSettings, TrainingSettings
from tasks.labels.known_labels import known_labels
from tasks.labels.label_file import record_labels
from tasks.training.new_version import train_version
from tasks.training.window import find_unconfirmed
from tasks.warehouse.connection import Warehouse

FEATURES = list("abcd")
MODEL = ModelSettings(hidden=(8, 2, 8), score="error")
TRAINING = TrainingSettings(epochs=3, batch_size=64, learning_rate=1e-2, seed=3)
QUANTILE = 0.99
AS_OF = NIGHT + timedelta(days=3)  # the first one whose training window has the night in it


def week(seed: int, rows: int = 2_000) -> pl.DataFrame:
    """Rows without labels: four columns that follow from two, and noise with heavy tails."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(rows, 2)) @ np.array([[1.0, 0.5, -1.0, 0.3], [0.2, -1.0, 0.4, 1.0]])
    return pl.DataFrame(hidden + 0.3 * random.standard_t(4, size=(rows, 4)), schema=FEATURES)


def learn(rows: pl.DataFrame, unconfirmed: NDArray[np.bool_] | None = None) -> Detector:
    return train(rows, FEATURES, [], MODEL, TRAINING, unconfirmed=unconfirmed)


def flagged(detector: Detector, rows: pl.DataFrame) -> NDArray[np.bool_]:
    return detector.score(rows).score >= np.quantile(detector.calibration.training, QUANTILE)


def shares(generations: int, *, forget: bool = False) -> list[float]:
    """What each version flags of the week after its own.

    forget: flagged rows are gone from calibration as well.
    """
    detector, found = learn(week(0)), []
    for generation in range(1, generations + 1):
        rows = week(generation)
        suspect = flagged(detector, rows)
        detector = learn(rows.filter(~suspect)) if forget else learn(rows, suspect)
        found.append(float(flagged(detector, week(generation + 1)).mean()))
    return found


@pytest.mark.soak
def test_the_flagged_share_is_the_same_after_generations_that_leave_out_what_was_flagged() -> None:
    assert max(shares(3)) < 2.5 * (1 - QUANTILE)


@pytest.mark.soak
@pytest.mark.slow
def test_it_would_grow_with_every_generation_if_what_was_flagged_were_forgotten() -> None:
    found = shares(4, forget=True)
    assert found[-1] > found[0] > 1.5 * (1 - QUANTILE)
    assert found[-1] > 4 * (1 - QUANTILE)


@pytest.mark.slow
def test_nothing_is_fitted_to_unconfirmed_rows_and_their_scores_still_count() -> None:
    rows, strange = week(0, 1_000), np.arange(1_000) % 10 == 0
    rows = rows.with_columns(a=pl.col("a") + pl.Series(np.where(strange, 6.0, 0.0)))
    with_all, with_none_left_out, without = (
        learn(rows),
        learn(rows, np.zeros(1_000, bool)),
        learn(rows, strange),
    )
    fresh = week(1)
    np.testing.assert_array_equal(with_all.score(fresh).score, with_none_left_out.score(fresh).score)
    np.testing.assert_array_equal(with_all.calibration.held_out, with_none_left_out.calibration.held_out)
    assert with_all.encoder == with_none_left_out.encoder
    parts = split(1_000, TRAINING.seed)
    assert without.encoder.numeric[0].center == pytest.approx(
        rows["a"].to_numpy()[parts.fit[~strange[parts.fit]]].mean()
    )
    assert without.encoder.numeric[0].scale < with_all.encoder.numeric[0].scale / 1.5
    assert (len(without.calibration.training), len(without.calibration.held_out)) == (
        len(parts.fit),
        len(parts.p_value),
    )
    assert without.calibration.normals == 1_000
    assert len(without.samples.training) == np.count_nonzero(~strange[parts.fit])
    np.testing.assert_allclose(without.calibration.training, without.score(rows[parts.fit]).score, rtol=1e-5)


def test_too_few_rows_to_learn_from_are_refused_with_the_reason() -> None:
    with pytest.raises(TrainingError, match=r"without the 950 flagged rows .* `nightscore labels`"):
        split(1_000, 0).without(np.arange(1_000) < 950)


def unlabel(bank: Bank) -> list[str]:
    """Nobody knows what the rows of the night are; gives the ids of the flagged ones."""
    bank.change(NIGHT, lambda rows: rows.with_columns(is_fraud=pl.lit(None, pl.Boolean)))
    settings = load_settings(bank.config)
    Warehouse(settings.warehouse, settings.name).transact(lambda con: con.execute("delete from labels"))
    return sorted(bank.table("select id from scores where is_flagged")["id"])


def unconfirmed(bank: Bank) -> list[str]:
    settings = load_settings(bank.config)
    warehouse = Warehouse(settings.warehouse, settings.name)
    first, last = settings.training_window(AS_OF)
    labels = known_labels(settings, warehouse, first, last, AS_OF - timedelta(days=1))
    return find_unconfirmed(settings, warehouse, first, last, labels)["id"].to_list()


@pytest.mark.slow
def test_flagged_rows_are_left_out_until_a_label_says_what_they_are(
    scored_bank: Bank, tmp_path: Path
) -> None:
    settings = load_settings(scored_bank.config)
    assert unconfirmed(scored_bank) == []
    first, second, *others = unlabel(scored_bank)
    assert unconfirmed(scored_bank) == [first, second, *others]
    (tmp_path / "labels.csv").write_text(
        f"id,label,known_at,source\n{first},0,{NIGHT},analyst\n{second},1,{AS_OF},analyst\n"
    )
    record_labels(Warehouse(settings.warehouse, settings.name), tmp_path / "labels.csv")
    assert unconfirmed(scored_bank) == [
        second,
        *others,
    ]  # what is known at the end of as_of was not known at its start
    scored_bank.configure("[training]", '[training]\nrows = "all"')
    assert unconfirmed(scored_bank) == []


@pytest.mark.slow
def test_a_version_says_what_was_left_out_and_another_choice_makes_another_version(
    scored_bank: Bank, tmp_path: Path
) -> None:
    suspects = len(unlabel(scored_bank))
    settings = load_settings(scored_bank.config)
    warehouse = Warehouse(settings.warehouse, settings.name)
    version = train_version(settings, warehouse, AS_OF, tmp_path)
    frauds = 5 * ROWS // 40
    result = CliRunner().invoke(app, ["models", "--json", "--config", str(scored_bank.config)])
    (model,) = [model for model in json.loads(result.stdout)["versions"] if model["version"] == version.name]
    assert {name: model[name] for name in ("rows", "known_frauds", "unconfirmed")} == {
        "rows": 6 * ROWS - frauds,
        "known_frauds": frauds,
        "unconfirmed": suspects,
    }
    assert model["contamination"] == pytest.approx((frauds + suspects) / (6 * ROWS))
    assert (
        f"{suspects} of the rows had been flagged and had no known label by then" in version.card.read_text()
    )
    confirmed = (
        "update score_rows set is_flagged = false where rank = (select max(rank) from score_rows "
        "where is_flagged)"
    )
    warehouse.transact(lambda con: con.execute(confirmed))
    assert train_version(settings, warehouse, AS_OF, tmp_path).name != version.name
