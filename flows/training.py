"""Training on demand: a new version from the labels known then, promoted to champion."""

from datetime import date
from pathlib import Path

from prefect import flow

from flows.context import recipe_of
from flows.settings import load_settings
from tasks.notices import troubles_told
from tasks.references import Version
from tasks.train import train


@flow(name="retrain")
def retrain(config: Path, as_of: date) -> Version:
    """Trains a version as of a business date; it is the champion of that date and of those after it."""
    settings = load_settings(config)
    with troubles_told(settings.notify, settings.name, as_of):
        return train(recipe_of(settings), settings.warehouse, settings.notify, as_of, "trained on demand")
