"""Which rows of a night are flagged where there are a head and a reserve: the list is shared between the
order of the score, in which the head finds what it has learnt, and that of the networks alone, which find
what is new.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.detector.calibration import Calibration
from models.detector.detector import Detector
from models.flagging.flags import Flags, NightScores, chosen
from models.flagging.thresholds import (
    OF_P_VALUES,
    THRESHOLDS,
    best_rows,
    decide,
    require_finite,
    require_number,
)
from models.settings import ThresholdSettings

KNOWN, UNKNOWN = "known pattern", "unknown pattern"
ROUNDING = 1e-9  # a half of two places is one, whatever the last bit of the share
NOTHING = np.zeros(0)

Order = tuple[NightScores, Calibration]


def flag_night(
    detector: Detector,
    night: NightScores,
    alone: NDArray[np.float32] | None,
    threshold: ThresholdSettings,
) -> Flags:
    """Returns the flags of the rows of a night; of a detector without a head, the reserve changes nothing.

    alone: float32 (rows,), see Scores. Raises ThresholdError where a score is not finite, or the strategy
    cannot be applied.
    """
    if alone is None or not threshold.reserve:
        return decide(night, detector.calibration, threshold)
    require_finite(night.scores + alone)
    calibration = detector.calibration_alone
    p_values = calibration.p_values(alone) if threshold.strategy in OF_P_VALUES else None
    unknown = replace(night, scores=alone, p_values=p_values)
    share = share_budget if threshold.strategy == "budget" else share_level
    return share((night, detector.calibration), (unknown, calibration), threshold)


def share_budget(known: Order, unknown: Order, threshold: ThresholdSettings) -> Flags:
    """Flags the highest row of each of `value` entities: place after place, the next entity that is not on
    the list yet, by the order whose turn it is. Of each n places, n x reserve are for the second order.
    """
    night, alone = known[0], unknown[0]
    places = require_number(threshold.value)
    orders = [_entities(each, places) for each in (night, alone)]
    flagged = np.zeros((2, len(night.scores)), bool)
    listed: set[tuple[object, object]] = set()
    for turn in _turns(places, threshold.reserve):
        found = next((each for each in orders[turn] if each[1:] not in listed), None)
        if found is None:
            break
        flagged[turn, found[0]] = True
        listed.add(found[1:])
    return _both(chosen(night, flagged[0]), chosen(alone, flagged[1]))


def share_level(known: Order, unknown: Order, threshold: ThresholdSettings) -> Flags:
    """Flags by two thresholds: of the rows that the strategy lets through, or of its level of false alarms,
    each order has its share.
    """
    strategy = THRESHOLDS[threshold.strategy]
    strategy(NightScores(NOTHING, NOTHING), known[1], threshold.value)  # refuses a value without a meaning
    flags = []
    for (night, calibration), share in ((known, 1 - threshold.reserve), (unknown, threshold.reserve)):
        none = chosen(night, np.zeros(len(night.scores), bool))
        value = level_of(threshold, share)
        flags.append(strategy(night, calibration, value) if share else none)
    return _both(*flags)


def known_rule(threshold: ThresholdSettings, *, has_head: bool) -> ThresholdSettings:
    """Returns the rule by which rows are flagged in the order of the score."""
    if not has_head or not threshold.reserve or threshold.strategy == "budget":
        return threshold
    value = level_of(threshold, 1 - threshold.reserve)
    return threshold.model_copy(update={"value": value, "reserve": 0.0})


def level_of(threshold: ThresholdSettings, share: float) -> float:
    """Returns the value of fdr, or of a quantile, that is left to one of two orders."""
    if threshold.strategy == "fdr":
        return threshold.value * share
    return 1 - (1 - threshold.value) * share


def patterns(flags: Flags) -> pl.Series:
    """Returns by which order each row is flagged: KNOWN, UNKNOWN, or null; all null without a reserve."""
    if flags.unknown is None:
        return pl.Series("flagged_by", [None], pl.String).new_from_index(0, len(flags.flagged))
    unknown, flagged = pl.lit(pl.Series(flags.unknown)), pl.lit(pl.Series(flags.flagged))
    found = pl.when(unknown).then(pl.lit(UNKNOWN)).when(flagged).then(pl.lit(KNOWN))
    return pl.select(found.alias("flagged_by")).to_series()


def _both(known: Flags, unknown: Flags) -> Flags:
    return Flags(
        known.threshold,
        known.flagged | unknown.flagged,
        known.why_none,
        unknown=unknown.flagged & ~known.flagged,
        unknown_threshold=unknown.threshold,
    )


def _entities(night: NightScores, places: int) -> Iterator[tuple[int, object, object]]:
    """The highest row of each entity, and who it is: no order needs more of them than there are places."""
    return best_rows(night).head(places).select("row", "entity", "alone").iter_rows()


def _turns(places: int, reserve: float) -> Iterator[int]:
    """Whose turn each place is: 0 is the first order, 1 the second."""
    done = 0
    for place in range(1, places + 1):
        due = int(place * reserve + ROUNDING)
        yield due - done
        done = due
