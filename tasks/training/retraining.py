"""Which version is due for training on a date; the training that is due, and then which versions score the
date.
"""

import logging
from datetime import date

from models.errors import ModelError
from tasks.core.dataset import Dataset
from tasks.core.errors import GateFailed, NoChampion, SourceError
from tasks.core.identity import training_identity
from tasks.core.references import ScoringModels
from tasks.core.step import step
from tasks.notifications.notify import notify_failed_training
from tasks.notifications.settings import NotifySettings
from tasks.registry.selection import select_models
from tasks.registry.versions import find_champion
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)
UNTRAINED = (ModelError, GateFailed, SourceError)


@step
def ensure_models(dataset: Dataset, warehouse: Warehouse, notify: NotifySettings, day: date) -> ScoringModels:
    """Trains the version that is due on a date, see `training_due`, and returns the versions that score the
    date.

    A training that fails stops no night that has a champion: it is notified, and tried again on the next
    date. Raises NoChampion where no version may flag, and whatever made the training of a first version fail.
    """
    if why := training_due(dataset, warehouse, day):
        log.info("%s  train      a version is due: %s", day, why)
        from tasks.training.train import train  # loads what only a training needs

        try:
            train(dataset, warehouse, notify, day, why)
        except UNTRAINED as error:
            champion = find_champion(dataset, warehouse, day)
            if champion is None:
                raise
            log.warning("%s  train      failed, the night goes on with %s: %s", day, champion.name, error)
            notify_failed_training(notify, dataset.name, day, champion.name, error)
    found = select_models(dataset, warehouse, day)
    if found is None:
        raise NoChampion(
            f'{day}: no version of this configuration is champion, and training.promotion is "manual"; '
            "choose one of `nightscore models` and make it champion with `nightscore promote VERSION`"
        )
    return found


def training_due(dataset: Dataset, warehouse: Warehouse, day: date) -> str | None:
    """Why a version is to be trained before a date is scored; None where none is.

    The age counts from the newest version of this configuration, whatever its status: neither a challenger in
    waiting is trained again, nor a version while one exists that is newer than a champion whose features have
    drifted.
    """
    hashes = list(training_identity(dataset).hashes)
    found = warehouse.row("registry/find_newest_version", training_hashes=hashes, partition_date=day) or {}
    newest: date | None = found.get("newest")
    if newest is None:
        return "the first version of this configuration"
    if (age := (day - newest).days) >= dataset.training.retrain_every_days:
        return f"the newest version was {age} days old"
    waits = dataset.training.promotion == "manual" and found["newest_fit"] is not None
    champion = find_champion(dataset, warehouse, day)
    if champion is None:
        return None if waits else "no champion with this configuration"
    if dataset.drift.retrain and newest <= champion.as_of:
        features = drifted_features(warehouse, champion.name, day)
        return f"drift of {', '.join(features)} from what {champion.name} learnt from" if features else None
    return None


def drifted_features(warehouse: Warehouse, version: str, day: date) -> list[str]:
    """The features over a limit when the drift of a version was last measured, after a night before `day`."""
    found = warehouse.rows("training/list_drifted_features", version=version, partition_date=day)
    return [row["feature"] for row in found]
