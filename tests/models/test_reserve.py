"""A list that is shared between the order of the score and that of the networks alone."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detector.calibration import Calibration
from models.errors import ThresholdError
from models.flagging.flags import Flags, NightScores
from models.flagging.reserve import KNOWN, UNKNOWN, known_rule, patterns, share_budget, share_level
from models.flagging.thresholds import THRESHOLDS, require_finite
from models.settings import SHARED, ThresholdSettings

RANDOM = np.random.default_rng(1)
NORMAL = np.sort(RANDOM.gamma(2.0, size=2_000)).astype(np.float32)
EMPTY = np.zeros((1, 1), np.float32)
CALIBRATION = Calibration(
    EMPTY, EMPTY[None], held_out=NORMAL, training=NORMAL, anomalies=NORMAL[:0], normals=2_000
)
VALUES = {"train_quantile": 0.9, "batch_quantile": 0.9, "budget": 9, "fdr": 0.2}


def order(scores: np.ndarray, entities: list[str | None] | None = None) -> tuple[NightScores, Calibration]:
    who = None if entities is None else pl.Series(entities, dtype=pl.String)
    return NightScores(scores, CALIBRATION.p_values(scores), who), CALIBRATION


def rule(strategy: str, reserve: float, value: float | None = None) -> ThresholdSettings:
    chosen = VALUES[strategy] if value is None else value
    return ThresholdSettings.model_validate({"strategy": strategy, "value": chosen, "reserve": reserve})


def shared(first: np.ndarray, second: np.ndarray, settings: ThresholdSettings) -> Flags:
    share = share_budget if settings.strategy == "budget" else share_level
    return share(order(first), order(second), settings)


SCORES, ALONE = RANDOM.gamma(2.0, size=(2, 300)).astype(np.float32)
SCORES[:4] = ALONE[4:8] = np.float32([30, 31, 32, 33])


def slow_list(first: list[float], second: list[float], who: list[str], places: int) -> list[tuple[str, int]]:
    """The list at a reserve of a half, place by place: who, and by which order."""
    orders = [sorted(range(len(who)), key=lambda row: -scores[row]) for scores in (first, second)]
    listed: list[tuple[str, int]] = []
    for place in range(places):
        turn = place % 2
        rest = [who[row] for row in orders[turn] if who[row] not in [each for each, _ in listed]]
        listed += [(rest[0], turn)] if rest else []
    return listed


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=12),
    places=st.integers(1, 8),
)
def test_a_list_takes_the_next_entity_of_each_order_in_turn(
    rows: list[tuple[int, float, float]], places: int
) -> None:
    who = [f"e{entity}" for entity, _, _ in rows]
    # without ties, whose order is that of the entities
    scores = [[row[column] + number / 1e3 for number, row in enumerate(rows)] for column in (1, 2)]
    flags = share_budget(*(order(np.array(each), who) for each in scores), rule("budget", 0.5, places))
    found = {(who[row], int(flags.unknown[row])) for row in np.flatnonzero(flags.flagged)}
    assert found == set(slow_list(*scores, who, places))
    assert flags.flagged.sum() == len(found) == min(places, len(set(who)))


@pytest.mark.parametrize("reserve", [0.2, 0.25, 0.5, 0.9, 1.0])
def test_each_order_has_its_share_of_the_places(reserve: float) -> None:
    flags = shared(SCORES, ALONE, rule("budget", reserve, 100))
    assert flags.flagged.sum() == 100
    assert flags.unknown.sum() == round(100 * reserve)


@pytest.mark.parametrize("strategy", SHARED)
def test_a_whole_reserve_is_the_order_of_the_networks_alone(strategy: str) -> None:
    flags, alone = (
        shared(SCORES, ALONE, rule(strategy, 1.0)),
        THRESHOLDS[strategy](*order(ALONE), VALUES[strategy]),
    )
    assert (flags.flagged == alone.flagged).all()
    assert (flags.unknown == alone.flagged).all()
    assert flags.unknown_threshold == pytest.approx(alone.threshold)
    assert flags.threshold > SCORES.max()


@pytest.mark.parametrize("strategy", SHARED)
def test_both_orders_are_on_a_shared_list_and_each_flag_says_by_which(strategy: str) -> None:
    flags = shared(SCORES, ALONE, rule(strategy, 0.5))
    whole = [THRESHOLDS[strategy](*order(each), VALUES[strategy]).flagged for each in (SCORES, ALONE)]
    assert (flags.flagged <= whole[0] | whole[1]).all()
    by = patterns(flags)
    assert by.is_null().to_list() == (~flags.flagged).tolist()
    assert set(by.drop_nulls()) == {KNOWN, UNKNOWN}
    assert SCORES[(by == KNOWN).fill_null(False).to_numpy()].min() >= flags.threshold
    assert ALONE[(by == UNKNOWN).fill_null(False).to_numpy()].min() >= flags.unknown_threshold
    assert patterns(replace(flags, unknown=None)).null_count() == len(SCORES)


def test_a_shared_quantile_and_fdr_flag_no_more_than_the_whole_rule_promises() -> None:
    random = np.random.default_rng(5)
    night = [random.choice(NORMAL, 20_000) for _ in range(2)]
    assert shared(*night, rule("train_quantile", 0.5, 0.98)).flagged.mean() == pytest.approx(0.02, abs=0.004)
    frauds = np.arange(20_000) < 1_000
    night = [np.where(frauds, np.float32(99), scores) for scores in night]
    flags = shared(*night, rule("fdr", 0.5, 0.2))
    assert flags.flagged[frauds].all()
    assert np.mean(~frauds[flags.flagged]) < 0.2


@pytest.mark.parametrize(
    ("strategy", "value"), [("fdr", 1.5), ("train_quantile", -0.5), ("batch_quantile", 1.5), ("budget", 0.5)]
)
def test_a_value_without_a_meaning_is_refused_as_it_was_written(strategy: str, value: float) -> None:
    with pytest.raises(ThresholdError, match=rf"threshold\.value .* got {value}"):
        shared(SCORES, ALONE, rule(strategy, 0.5, value))
    with pytest.raises(ThresholdError, match="1 of 2 scores are not finite"):
        require_finite(np.array([1.0, np.nan]))


def test_the_rule_of_the_score_is_what_the_reserve_leaves_it() -> None:
    settings = rule("train_quantile", 0.5, 0.98)
    assert settings.rule == "train_quantile 0.98, reserve 0.5"
    assert known_rule(settings, has_head=True).rule == "train_quantile 0.99"
    assert known_rule(settings, has_head=False) is settings
    with pytest.raises(
        ValueError, match="reserve has no meaning for strategy 'cost', only for train_quantile"
    ):
        ThresholdSettings(strategy="cost", reserve=0.5)
