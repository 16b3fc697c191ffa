"""Champion and challenger: scored in the same pass, decided on once by the same rows, and every decision is
a row with its figures.
"""

import logging
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from banks import DAYS, FIRST, NIGHT, ROWS, Bank, small_day
from hooks import listening
from sklearn.metrics import average_precision_score

import tasks.training.train
from flows.plain import nightly, retrain
from models.errors import TrainingError
from models.evaluation.comparison import agreement, paired_difference
from models.evaluation.labelled_rows import LabelledRows
from models.evaluation.metrics import metrics
from tasks.monitoring.promotion_rule import apply_rule
from tasks.monitoring.settings import ChallengerSettings

AP = metrics()["average_precision"]
NEXT = [NIGHT + timedelta(days=number) for number in range(1, 6)]


def judged(scores: np.ndarray, labels: np.ndarray) -> LabelledRows:
    days = np.full(len(scores), np.datetime64("2026-03-01"))
    return LabelledRows(days, np.arange(len(scores)) // 3, labels, scores.astype(np.float64), scores > 1)


@pytest.mark.parametrize("seed", range(3))
def test_the_difference_of_two_scorers_is_that_of_their_metrics_and_turns_with_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(300) % 10 == 0
    one, two = (judged(rng.normal(labels * rng.uniform(0, 3), 1), labels) for _ in range(2))
    found, turned = (
        paired_difference(one, two, AP, 0.95, replicates=40),
        paired_difference(two, one, AP, 0.95, replicates=40),
    )
    assert found
    assert turned
    assert found.value == pytest.approx(AP(two) - AP(one))
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))
    assert found.low <= found.high


def test_a_scorer_does_not_differ_from_itself_nor_from_a_monotone_change_of_it() -> None:
    labels = np.arange(300) % 10 == 0
    scores = np.random.default_rng(1).normal(labels * 2.0, 1)
    found = paired_difference(judged(scores, labels), judged(np.exp(scores), labels), AP, 0.95, replicates=40)
    assert found
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_without_frauds_there_is_no_difference() -> None:
    rows = judged(np.arange(9.0), np.zeros(9, bool))
    assert paired_difference(rows, rows, AP, 0.95, replicates=40) is None


def test_the_paired_interval_is_narrower_than_that_of_scorers_who_err_apart() -> None:
    rng, labels = np.random.default_rng(2), np.arange(600) % 10 == 0
    scores = rng.normal(labels * 2.0, 1)
    alike, apart = scores + rng.normal(0, 0.05, 600), rng.normal(labels * 2.0, 1)
    near, far = (
        paired_difference(judged(scores, labels), judged(other, labels), AP, 0.95, replicates=40)
        for other in (alike, apart)
    )
    assert near
    assert far
    assert near.high - near.low < (far.high - far.low) / 2


def test_agreement_is_whole_with_itself_and_none_where_nothing_is_shared() -> None:
    p = np.linspace(0.01, 1, 100)
    same, other = agreement({(1, "a")}, {(1, "a")}, p, p), agreement({(1, "a")}, {(2, "a")}, p, p / 2)
    assert (same.overlap, same.shift) == (1, 0)
    assert (other.overlap, other.shift) == (0, pytest.approx(0.5))
    assert agreement(set(), set(), p, p).overlap == 1


def compared(rows: int, better: float, seed: int = 0, known: bool = True) -> pl.DataFrame:
    """Rows that two versions have scored.

    better: by how much the challenger moves frauds up further than the champion does.
    """
    rng = np.random.default_rng(seed)
    fraud = np.arange(rows) % 20 == 0
    noise = rng.normal(0, 1, rows)
    scores = {"champion": noise + 2 * fraud, "challenger": noise + (2 + better) * fraud}
    columns: dict[str, object] = {
        "partition_date": [date(2026, 3, 1 + number % 7) for number in range(rows)],
        "id": [str(number) for number in range(rows)],
        "entity": [f"card {number // 2}" for number in range(rows)],
        "label": fraud if known else [None] * rows,
        "weight": np.ones(rows),
    }
    for who, score in scores.items():
        p_value = pl.Series(score).rank(descending=True) / (rows + 1)
        columns |= {f"{who}_score": score, f"{who}_p_value": p_value, f"{who}_flagged": p_value < 0.05}
    return pl.DataFrame(columns, schema_overrides={"label": pl.Boolean})


@pytest.mark.parametrize(("better", "fit"), [(1.0, True), (0.0, True), (-1.0, False)])
def test_a_challenger_that_is_not_worse_is_fit_and_one_that_is_worse_is_not(better: float, fit: bool) -> None:
    rows = compared(2_000, better)
    outcome = apply_rule(rows, ChallengerSettings(), has_entities=True)
    assert (outcome.rule, outcome.rows, outcome.frauds, outcome.promotable) == ("labels", 2_000, 100, fit)
    values = [
        average_precision_score(rows["label"], rows[f"{who}_score"]) for who in ("champion", "challenger")
    ]
    assert [outcome.champion_value, outcome.challenger_value] == pytest.approx(values)
    assert outcome.low is not None
    assert (outcome.low >= -0.01) == fit


def test_the_tolerance_is_what_the_lower_bound_is_held_against() -> None:
    rows = compared(2_000, -1.0)
    low = apply_rule(rows, ChallengerSettings(), has_entities=True).low
    assert low is not None
    assert apply_rule(rows, ChallengerSettings(tolerance=-low + 1e-9), has_entities=True).promotable
    assert not apply_rule(rows, ChallengerSettings(tolerance=-low - 1e-9), has_entities=True).promotable


def test_without_enough_frauds_alerts_and_scores_must_agree() -> None:
    rows = compared(2_000, 0.0, known=False)
    same = apply_rule(rows, ChallengerSettings(), has_entities=True)
    assert (same.rule, same.overlap, same.shift, same.promotable) == ("agreement", 1, 0, True)
    other = rows.with_columns(challenger_flagged=~pl.col("challenger_flagged"))
    assert not apply_rule(other, ChallengerSettings(), has_entities=True).promotable
    shifted = rows.with_columns(challenger_p_value=pl.col("challenger_p_value") / 2)
    assert not apply_rule(shifted, ChallengerSettings(), has_entities=True).promotable
    assert (
        apply_rule(compared(2_000, 0.0), ChallengerSettings(least_frauds=101), has_entities=True).rule
        == "agreement"
    )


@dataclass(frozen=True)
class Duel:
    """A small bank with its champion, and a challenger that was trained for the next night; labels are known
    two days later.
    """

    bank: Bank
    champion: str
    challenger: str

    def decisions(self) -> list[dict[str, object]]:
        return self.bank.table("from decisions").to_dicts()

    def champions(self) -> list[tuple[str, date]]:
        return self.bank.table("select version, effective_from from champions order by all").rows()


@pytest.fixture(scope="module")
def duel_template(scored_bank_template: Bank, tmp_path_factory: pytest.TempPathFactory) -> Duel:
    bank = Bank(tmp_path_factory.mktemp("duel") / "bank")
    shutil.copytree(scored_bank_template.folder, bank.folder)
    for number in range(2):
        day = FIRST + timedelta(days=DAYS + number)
        bank.write(day, small_day(day))
    bank.configure(
        "[warehouse]",
        (
            "[evaluation]\nexclude_known_compromised = false\n[challenger]\nwindow_days = 1\nleast_frauds "
            "= 5\ntolerance = 1.0\n[warehouse]"
        ),
    )
    (champion,) = bank.table("from champion")["version"]
    challenger = retrain(bank.config, NEXT[0]).name
    nightly(bank.config, NEXT[0])
    nightly(bank.config, NEXT[1])
    return Duel(bank, champion, challenger)


@pytest.fixture
def duel(duel_template: Duel, tmp_path: Path) -> Duel:
    """A copy of it that is the test's own: two nights are scored by both, and no label of theirs is known."""
    shutil.copytree(duel_template.bank.folder, tmp_path / "duel")
    return Duel(Bank(tmp_path / "duel"), duel_template.champion, duel_template.challenger)


def fail(*_: object) -> None:
    raise TrainingError("the loss is not finite")


@pytest.mark.slow
class TestNights:
    def test_a_challenger_flags_nothing_and_says_what_it_would_say_as_champion(self, duel: Duel) -> None:
        assert duel.bank.table("select distinct model_version from scores")["model_version"].to_list() == [
            duel.champion
        ]
        shadows = duel.bank.table(f"from shadow_scores where partition_date = '{NEXT[0]}'")
        assert shadows["model_version"].unique().to_list() == [duel.challenger]
        assert shadows.height == ROWS
        retrain(duel.bank.config, NEXT[0], promote=True)
        assert nightly(duel.bank.config, NEXT[0]).model_version == duel.challenger
        columns = "id, error, score, p_value, rank, is_flagged"
        scores = duel.bank.table(
            f"select {columns} from scores where partition_date = '{NEXT[0]}' order by id"
        )
        assert shadows.sort("id").select(scores.columns).equals(scores)

    def test_it_is_decided_on_once_by_known_labels_and_is_champion_from_the_next_date_on(
        self, duel: Duel
    ) -> None:
        assert duel.decisions() == []  # the labels of the first night are known at the end of the third
        nightly(duel.bank.config, NEXT[2])
        (decision,) = duel.decisions()
        assert (decision["version"], decision["champion"]) == (duel.challenger, duel.champion)
        assert (decision["as_of"], decision["first_date"], decision["dates"]) == (NEXT[2], NEXT[0], 1)
        assert decision["fit"]
        assert decision["promoted"]
        assert duel.champions() == [(duel.champion, NIGHT), (duel.challenger, NEXT[3])]
        rows = duel.bank.table(
            "select label, score, model_version from version_scores join latest_labels using (id, "
            "partition_date) "
            f"where partition_date = '{NEXT[0]}' and known_at <= '{NEXT[2]}'"
        )
        for who, value in ((duel.champion, "champion_value"), (duel.challenger, "challenger_value")):
            own = rows.filter(pl.col("model_version") == who)
            assert own.height == decision["rows"]
            assert decision[value] == pytest.approx(average_precision_score(own["label"], own["score"]))
        assert nightly(duel.bank.config, NEXT[2]).status == "already committed"
        assert duel.decisions() == [decision]
        assert nightly(duel.bank.config, NEXT[3]).model_version == duel.challenger
        assert duel.bank.table(f"from shadow_scores where partition_date = '{NEXT[3]}'").is_empty()
        assert duel.bank.table(f"from current_runs where partition_date <= '{NEXT[2]}'")[
            "model_version"
        ].unique().to_list() == [duel.champion]

    def test_where_promotion_is_manual_the_decision_is_a_row_and_nothing_else(self, duel: Duel) -> None:
        duel.bank.configure("[training]", '[training]\npromotion = "manual"')
        nightly(duel.bank.config, NEXT[2])
        (decision,) = duel.decisions()
        assert (decision["fit"], decision["promoted"]) == (True, False)
        assert duel.champions() == [(duel.champion, NIGHT)]

    def test_one_that_is_not_fit_stays_out_of_service(self, duel: Duel) -> None:
        duel.bank.configure("least_frauds = 5", "least_frauds = 500\nmost_shift = 0.0")
        nightly(duel.bank.config, NEXT[2])
        (decision,) = duel.decisions()
        assert (decision["rule"], decision["fit"], decision["promoted"]) == ("agreement", False, False)
        assert 0 < decision["shift"] <= 1
        assert duel.champions() == [(duel.champion, NIGHT)]

    def test_a_challenger_whose_artifact_is_broken_stops_no_night(
        self, duel: Duel, caplog: pytest.LogCaptureFixture
    ) -> None:
        ((path,),) = duel.bank.table(
            f"select artifact_path from models where version = '{duel.challenger}'"
        ).rows()
        (network,) = (duel.bank.folder / "nightscore-files" / path).glob("*.keras")
        network.write_bytes(b"torn")
        caplog.set_level(logging.WARNING, "tasks")
        night = nightly(duel.bank.config, NEXT[2])
        assert (night.status, night.model_version) == ("committed", duel.champion)
        assert f"challenger {duel.challenger} is left out tonight" in caplog.text
        assert duel.bank.table(f"from shadow_scores where partition_date = '{NEXT[2]}'").is_empty()

    def test_a_training_that_fails_stops_no_night_that_has_a_champion_and_is_told(
        self, duel: Duel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level(logging.WARNING, "tasks")
        monkeypatch.setattr(tasks.training.train, "train_version", fail)
        with listening(200) as hook:
            settings = f'[notify]\nwebhooks = [{{ url = "{hook.url}", on = ["failed"] }}]\n[warehouse]'
            duel.bank.configure("[warehouse]", settings)
            duel.bank.configure("window_days = 6", "window_days = 6\nretrain_every_days = 1")
            night = nightly(duel.bank.config, NEXT[2])
            assert (night.status, night.model_version) == ("committed", duel.champion)
            (told,) = hook.bodies
        assert "the loss is not finite" in caplog.text
        assert (told["status"], told["model_version"]) == ("training failed", duel.champion)
        assert "the loss is not finite" in told["message"]
