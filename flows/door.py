"""What `import nightscore` offers: a dataset by its configuration, its champion and its committed scores."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from flows.settings import Settings, load_settings
from tasks.scoring.frame_detector import FittedDetector, load_champion

if TYPE_CHECKING:  # a first import of the door takes no longer than that of the command line
    from tasks.features.frames import Frame


@dataclass(frozen=True)
class OpenedDataset:
    """A dataset by its configuration; its warehouse is opened for moments only."""

    settings: Settings

    def champion(self, day: date | str | None = None) -> FittedDetector:
        """Returns the champion of a date, by default the newest one.

        Raises NoChampion where there is none that was trained with this configuration.
        """
        return load_champion(self.settings, self.settings.open_warehouse(), _date(day or date.max))

    def scores(self, day: date | str) -> "Frame":
        """Returns the committed scores of a date: the rows of the view `scores`, the highest score first.

        Raises EvaluationError where no night of the date is committed.
        """
        from tasks.evaluation.current_scores import read_scores

        return read_scores(self.settings.open_warehouse(), _date(day))


def load(config: str | Path | None = None) -> OpenedDataset:
    """Reads a configuration, found as the commands find it.

    Raises SettingsError, one line, where there is none, or it is wrong.
    """
    return OpenedDataset(load_settings(Path(config) if config else None))


def scores(config: str | Path | None, day: date | str) -> "Frame":
    """Returns the committed scores of a date; see OpenedDataset.scores."""
    return load(config).scores(day)


def _date(day: date | str) -> date:
    return date.fromisoformat(day) if isinstance(day, str) else day
