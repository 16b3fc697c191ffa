"""Everything that decides what a version learns, besides the rows."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from models.settings import DriftSettings, ModelSettings, ThresholdSettings, TrainingSettings
from tasks.core.dataset import Dataset


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learnt, besides the rows.

    training_hash: of the sections features, quality, model and training. files: the folder of artifacts and
    model cards.
    threshold: what the nights flag by; it decides nothing that is learnt, and is shown in the model's card.
    drift: decides when.
    """

    dataset: Dataset
    model: ModelSettings
    training: TrainingSettings
    training_hash: str
    files: Path
    threshold: ThresholdSettings
    drift: DriftSettings

    @property
    def label_delay_days(self) -> int:
        """Without a label column there is nothing to wait for."""
        return self.training.label_delay_days if self.dataset.columns.label else 0

    def window(self, as_of: date) -> tuple[date, date]:
        """First and last date of the training window: the dates before `as_of` whose labels are known by
        then.
        """
        last = as_of - timedelta(days=self.label_delay_days + 1)
        return last - timedelta(days=self.training.window_days - 1), last
