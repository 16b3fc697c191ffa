"""Trains the version that is due, decides whether it is champion, and trains one without the label-derived
features beside it.
"""

import logging
from datetime import date
from pathlib import Path

import duckdb

from models.errors import ModelError
from tasks.core.dataset import Dataset
from tasks.core.errors import GateFailed, NightError
from tasks.core.references import Version
from tasks.core.staging import scratch_folder
from tasks.core.step import step
from tasks.notifications.notify import notify_promotion
from tasks.notifications.settings import NotifySettings
from tasks.registry.promotions import promote
from tasks.registry.versions import find_champion
from tasks.training.new_version import train_version
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)


@step
def train(
    dataset: Dataset,
    warehouse: Warehouse,
    notify: NotifySettings,
    as_of: date,
    why: str,
    *,
    promoted: bool = False,
) -> Version:
    """Trains a version from the labels known at the start of `as_of`; see `train_version`.

    It becomes champion from that date on where it is to be `promoted`, or where no version of its
    configuration is champion of that date and promotions are automatic; else it is a challenger. Where there
    are label-derived features, a version without them is trained beside it, which `evaluate` compares it
    with. Raises GateFailed where the version is withheld.
    """
    with scratch_folder(warehouse.files) as prepared:
        return _train(dataset, warehouse, notify, as_of, why, prepared, promoted=promoted)


def _train(
    dataset: Dataset,
    warehouse: Warehouse,
    notify: NotifySettings,
    as_of: date,
    why: str,
    prepared: Path,
    *,
    promoted: bool,
) -> Version:
    version = train_version(dataset, warehouse, as_of, prepared)
    if version.withheld:
        raise GateFailed(
            f"{as_of}: {version.name} is kept out of service: {version.withheld} See {version.card}; "
            'fix the features or the training (training.gate = "warn" lets usefulness pass)'
        )
    champion = find_champion(dataset, warehouse, as_of)
    if promoted or (champion is None and dataset.training.promotion == "automatic"):
        if promote(warehouse, version, why):
            notify_promotion(notify, dataset.name, version.name, version.as_of, why)
    elif champion != version:
        beside = champion.name if champion else "nobody yet"
        log.info("%s  train      %s is a challenger of %s", as_of, version.name, beside)
    if dataset.features.label_derived:
        train_reduced(dataset, warehouse, as_of, prepared)
    return version


def train_reduced(dataset: Dataset, warehouse: Warehouse, as_of: date, prepared: Path) -> Version | None:
    """Trains the version without the label-derived features; it scores no night.

    prepared: the folder of the days that the other version was trained on. Where that fails, a warning says
    so.
    """
    log.info("%s  train      beside it, a version without the label-derived features", as_of)
    try:
        return train_version(dataset.without_label_derived(), warehouse, as_of, prepared)
    except (ModelError, NightError, duckdb.Error) as error:
        log.warning("%s  train      no version without the label-derived features: %s", as_of, error)
        return None
