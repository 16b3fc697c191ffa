"""Champion and challenger: once both have scored enough dates whose labels are known, the rule of
[challenger] decides between them.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, timedelta
from functools import partial
from typing import Any

import duckdb
import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

import sql
from models.errors import ModelError
from tasks.core.errors import NightError
from tasks.core.references import Version
from tasks.evaluation.evaluate import Bench
from tasks.labels.known_labels import known_compromised
from tasks.monitoring.promotion_rule import Decision, apply_rule
from tasks.monitoring.settings import ChallengerSettings
from tasks.notifications.notify import notify_promotion
from tasks.notifications.settings import NotifySettings
from tasks.registry.promotions import promote_within
from tasks.registry.selection import select_models
from tasks.warehouse.connection import look_up, reading, transact
from tasks.warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)


@task(cache_policy=NO_CACHE)
def challenge(bench: Bench, rule: ChallengerSettings, notify: NotifySettings, day: date) -> list[Decision]:
    """Decides on each challenger of a date that has been watched for long enough, by the labels known at its
    end.

    One that is promoted is champion from the next date on, and those that are left are compared with it, on
    later nights. The night is committed by now, so what goes wrong here is a warning.
    """
    decisions = []
    try:
        for decision in _decisions(bench, rule, day):
            _tell(bench, notify, decision)
            decisions.append(decision)
    except (NightError, ModelError, duckdb.Error) as error:
        log.warning("%s  challenge  no challenger could be decided on: %s", day, error)
    return decisions


def _decisions(bench: Bench, rule: ChallengerSettings, day: date) -> Iterator[Decision]:
    """The decisions that are due, each written down before the next one; none follows a promotion."""
    warehouse, dataset = bench.warehouse, bench.recipe.dataset.name
    scorers = select_models(bench.recipe, warehouse, day)
    for challenger in scorers.challengers if scorers else ():
        if look_up(warehouse, dataset, "monitoring/find_decision", {"version": challenger.name}):
            continue
        decision = _decide(bench, rule, scorers.champion, challenger, day) if scorers else None
        if decision and transact(warehouse, dataset, partial(_write, warehouse, decision)):
            yield decision
            if decision.promoted:
                return


def _decide(
    bench: Bench, rule: ChallengerSettings, champion: Version, challenger: Version, day: date
) -> Decision | None:
    """The decision on a challenger; None where too few dates were scored by both, or their labels are not
    known yet.
    """
    recipe, versions = bench.recipe, {"champion": champion.name, "challenger": challenger.name}
    mature = day - timedelta(days=recipe.label_delay_days)
    with reading(bench.warehouse, recipe.dataset.name) as con:
        dates = [
            row[0]
            for row in con.execute(
                sql.read("monitoring/list_shared_dates"), versions | {"partition_date": mature}
            ).fetchall()
        ]
        if len(dates) < rule.window_days:
            return None
        rows = con.execute(
            sql.read("monitoring/list_shared_scores"), versions | {"dates": dates, "as_of": day}
        ).pl()
    rows = _judged_rows(bench, rows, champion)
    if rows.is_empty():
        return None
    verdict = apply_rule(rows, rule, has_entities=bool(recipe.dataset.columns.entity))
    return Decision(
        version=challenger.name,
        champion=champion.name,
        as_of=day,
        first_date=dates[0],
        last_date=dates[-1],
        dates=len(dates),
        verdict=verdict,
        promoted=verdict.fit and recipe.training.promotion == "automatic",
    )


def _judged_rows(bench: Bench, rows: pl.DataFrame, champion: Version) -> pl.DataFrame:
    """The rows without those of entities that were known to be compromised, as in every other judgement."""
    dataset, warehouse = bench.recipe.dataset, bench.warehouse
    if not (bench.settings.exclude_known_compromised and dataset.columns.entity and dataset.columns.label):
        return rows
    return rows.filter(
        ~known_compromised(dataset, warehouse, rows, champion.first_date, bench.recipe.label_delay_days)
    )


def _write(warehouse: WarehouseSettings, decision: Decision, con: duckdb.DuckDBPyConnection) -> bool:
    """Writes a decision and the promotion that follows from it; gives whether nobody was faster."""
    con.execute(sql.read("publish/lock_dataset"))
    (written,) = con.execute(sql.read("monitoring/insert_decision"), _columns(decision)).fetchall()[0]
    if written and decision.promoted:
        promote_within(
            warehouse, decision.version, decision.as_of + timedelta(days=1), decision.verdict.why, con
        )
    return bool(written)


def _columns(decision: Decision) -> dict[str, Any]:
    columns = asdict(decision)
    return {**columns.pop("verdict"), **columns}


def _tell(bench: Bench, notify: NotifySettings, decision: Decision) -> None:
    verdict, first = decision.verdict, decision.as_of + timedelta(days=1)
    done = {
        (True, True): f"is champion from {first} on",
        (True, False): "may be promoted by hand",
        (False, False): "is not promoted",
    }
    log.info(
        "%s  challenge  %s %s: %s",
        decision.as_of,
        decision.version,
        done[verdict.fit, decision.promoted],
        verdict.why,
    )
    if decision.promoted:
        notify_promotion(notify, bench.recipe.dataset.name, decision.version, first, verdict.why)
