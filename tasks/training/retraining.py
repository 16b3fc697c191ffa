"""Who scores a date: the champion flags, challengers are scored beside it, and a version is trained where
one is due.
"""

import logging
from datetime import date

from prefect import task
from prefect.cache_policies import NO_CACHE

import sql
from models.errors import ModelError
from tasks.core.errors import GateFailed, NoChampion, SourceError, WarehouseMissing
from tasks.core.recipe import Recipe
from tasks.core.references import ScoringModels
from tasks.notifications.notify import notify_failed_training
from tasks.notifications.settings import NotifySettings
from tasks.registry.selection import select_models
from tasks.registry.versions import find_champion
from tasks.training.train import train
from tasks.warehouse.connection import look_up, reading
from tasks.warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)
UNTRAINED = (ModelError, GateFailed, SourceError)


@task(cache_policy=NO_CACHE)
def ensure_models(
    recipe: Recipe, warehouse: WarehouseSettings, notify: NotifySettings, day: date
) -> ScoringModels:
    """Who scores a date, after the training that is due on it; see `training_due`.

    A training that fails does not stop a night that has a champion: it is told, and tried again on the next
    date.
    Raises NoChampion where nobody may flag, and whatever made the training of a first version fail.
    """
    if why := training_due(recipe, warehouse, day):
        log.info("%s  train      a version is due: %s", day, why)
        try:
            train(recipe, warehouse, notify, day, why)
        except UNTRAINED as error:
            champion = find_champion(recipe, warehouse, day)
            if champion is None:
                raise
            log.warning("%s  train      failed, the night goes on with %s: %s", day, champion.name, error)
            notify_failed_training(notify, recipe.dataset.name, day, champion.name, error)
    found = select_models(recipe, warehouse, day)
    if found is None:
        raise NoChampion(
            f'{day}: no version of this configuration is champion, and training.promotion is "manual"; '
            "choose one of `nightscore models` and make it champion with `nightscore promote VERSION`"
        )
    return found


def training_due(recipe: Recipe, warehouse: WarehouseSettings, day: date) -> str | None:
    """Why a version is to be trained before a date is scored; None where none is.

    Its age counts from the newest version of this configuration, whatever became of that: a challenger in
    waiting is not trained again, nor is a version while one is there that is newer than a champion whose
    features have drifted.
    """
    key = {"training_hash": recipe.training_hash, "partition_date": day}
    newest, newest_fit = look_up(warehouse, recipe.dataset.name, "registry/find_newest_version", key) or (
        None,
        None,
    )
    if newest is None:
        return "the first version of this configuration"
    if (age := (day - newest).days) >= recipe.training.retrain_every_days:
        return f"the newest version was {age} days old"
    waits = recipe.training.promotion == "manual" and newest_fit is not None
    champion = find_champion(recipe, warehouse, day)
    if champion is None:
        return None if waits else "no champion with this configuration"
    if recipe.drift.retrain and newest <= champion.as_of:
        features = drifted_features(warehouse, recipe.dataset.name, champion.name, day)
        return f"drift of {', '.join(features)} from what {champion.name} learnt from" if features else None
    return None


def drifted_features(warehouse: WarehouseSettings, dataset: str, version: str, day: date) -> list[str]:
    """The features that were over a limit when the drift of a version was last measured, after a night
    before `day`.
    """
    try:
        with reading(warehouse, dataset) as con:
            return [
                row[0]
                for row in con.execute(
                    sql.read("training/list_drifted_features"), {"version": version, "partition_date": day}
                ).fetchall()
            ]
    except WarehouseMissing:
        return []
