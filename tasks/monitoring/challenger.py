"""Champion and challenger: once both have scored enough dates with known labels, the rule of [challenger]
decides.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from models.errors import ModelError
from tasks.core.dataset import Dataset
from tasks.core.errors import NightError
from tasks.core.references import Version
from tasks.core.step import step
from tasks.evaluation.settings import EvaluationSettings
from tasks.labels.compromised import store_compromised
from tasks.monitoring.settings import ChallengerSettings
from tasks.notifications.notify import notify_promotion
from tasks.notifications.settings import NotifySettings
from tasks.registry.promotions import promote_within
from tasks.registry.selection import select_models
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute, insert

if TYPE_CHECKING:
    from tasks.monitoring.promotion_rule import Decision

log = logging.getLogger(__name__)


@step
def decide_challengers(
    dataset: Dataset,
    warehouse: Warehouse,
    evaluation: EvaluationSettings,
    rule: ChallengerSettings,
    notify: NotifySettings,
    day: date,
) -> "list[Decision]":
    """Decides on each challenger of a date that has scored enough dates, by the labels known at the end of
    the date.

    One that is promoted is champion from the next date on; the others are compared with it on later nights.
    The night is committed already, so that a failure here is a warning.
    """
    decisions: list[Decision] = []
    try:
        for decision in _decisions(dataset, warehouse, evaluation, rule, day):
            _announce(dataset, notify, decision)
            decisions.append(decision)
    except (NightError, ModelError, duckdb.Error) as error:
        log.warning("%s  challenge  no challenger could be decided on: %s", day, error)
    return decisions


def _decisions(
    dataset: Dataset,
    warehouse: Warehouse,
    evaluation: EvaluationSettings,
    rule: ChallengerSettings,
    day: date,
) -> "Iterator[Decision]":
    """The decisions that are due, each inserted before the next one; none follows a promotion."""
    selected = select_models(dataset, warehouse, day)
    if selected is None:
        return
    for challenger in selected.challengers:
        if warehouse.row("monitoring/find_decision", version=challenger.name):
            continue
        decision = _decide(dataset, warehouse, evaluation, rule, selected.champion, challenger, day)
        if decision and _insert(warehouse, decision):
            yield decision
            if decision.promoted:
                return


def _decide(
    dataset: Dataset,
    warehouse: Warehouse,
    evaluation: EvaluationSettings,
    rule: ChallengerSettings,
    champion: Version,
    challenger: Version,
    day: date,
) -> "Decision | None":
    """The decision on a challenger; None where too few dates with known labels were scored by both."""
    versions = {"champion": champion.name, "challenger": challenger.name}
    mature = day - timedelta(days=dataset.label_delay_days)
    shared = warehouse.rows("monitoring/list_shared_dates", **versions, partition_date=mature)
    dates: list[date] = [row["partition_date"] for row in shared]
    if len(dates) < rule.window_days:
        return None
    store_compromised(dataset, warehouse, dates[0], dates[-1])
    scores = warehouse.frame("monitoring/list_shared_scores", **versions, dates=dates, as_of=day)
    if evaluation.exclude_known_compromised:
        scores = scores.filter("is_new")
    if scores.is_empty():
        return None
    from tasks.monitoring.promotion_rule import Decision, apply_rule  # loads scipy
    from tasks.monitoring.without_head import tell_heads

    outcome = apply_rule(scores, rule, has_entities=bool(dataset.columns.entity))
    heads = ""
    if outcome.rule == "labels":
        both = {"champion": champion, "challenger": challenger}
        heads = tell_heads(dataset, warehouse, rule, both, scores)
    basis = f"dates {dates[0]}..{dates[-1]}, labels known at the end of {day}"
    return Decision(
        version=challenger.name,
        champion=champion.name,
        as_of=day,
        first_date=dates[0],
        last_date=dates[-1],
        dates=len(dates),
        outcome=replace(outcome, why=f"{outcome.why}{heads}; {basis}"),
        promoted=outcome.promotable and dataset.training.promotion == "automatic",
    )


def _insert(warehouse: Warehouse, decision: "Decision") -> bool:
    """Inserts a decision and the promotion that follows from it; returns whether no other process was
    faster.
    """

    def work(con: duckdb.DuckDBPyConnection) -> bool:
        execute(con, "publish/lock_dataset")
        inserted = insert(con, "monitoring/insert_decision", **_columns(decision))
        if inserted and decision.promoted:
            first = decision.as_of + timedelta(days=1)
            promote_within(con, warehouse, decision.version, first, decision.outcome.why)
        return bool(inserted)

    return warehouse.transact(work)


def _columns(decision: "Decision") -> dict[str, Any]:
    """The decision by the columns of the table `decisions`."""
    columns = asdict(decision)
    outcome = columns.pop("outcome")
    fit = outcome.pop("promotable")
    return {**outcome, **columns, "fit": fit}


def _announce(dataset: Dataset, notify: NotifySettings, decision: "Decision") -> None:
    outcome, first = decision.outcome, decision.as_of + timedelta(days=1)
    done = {
        (True, True): f"is champion from {first} on",
        (True, False): "may be promoted by hand",
        (False, False): "is not promoted",
    }
    text = done[outcome.promotable, decision.promoted]
    log.info("%s  challenge  %s %s: %s", decision.as_of, decision.version, text, outcome.why)
    if decision.promoted:
        notify_promotion(notify, dataset.name, decision.version, first, outcome.why)
