"""Training on demand: a new version from the labels known then."""

from datetime import date
from pathlib import Path

from prefect import flow

from flows.context import recipe_of
from flows.run_names import run_name
from flows.settings import load_settings
from tasks.core.references import Version
from tasks.notifications.notify import notify_failure
from tasks.operations.liveness import live_run
from tasks.training.train import train


@flow(name="retrain", flow_run_name=run_name)
def retrain(config: Path, as_of: date, promote: bool = False) -> Version:
    """Trains a version as of a business date: a challenger where there is a champion, unless it is to be
    promoted at once.
    """
    settings = load_settings(config)
    with live_run(settings.files), notify_failure(settings.notify, settings.name, as_of):
        return train(
            recipe_of(settings),
            settings.warehouse,
            settings.notify,
            as_of,
            "trained on demand",
            promoted=promote,
        )
