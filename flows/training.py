"""Training on demand: a new version from the labels known then."""

from datetime import date
from pathlib import Path

from flows.settings import load_settings
from tasks.core.references import Version
from tasks.notifications.notify import notify_failure
from tasks.operations.liveness import track_run
from tasks.training.train import train


def train_on_demand(config: Path, as_of: date, promote: bool = False) -> Version:
    """Trains a version as of a business date: a challenger where there is a champion, unless it is promoted
    at once.
    """
    settings = load_settings(config)
    warehouse = settings.open_warehouse()
    with track_run(settings.files), notify_failure(settings.notify, settings.name, as_of):
        return train(settings, warehouse, settings.notify, as_of, "trained on demand", promoted=promote)
