"""What `nightscore init` found in a source, and what it takes each column for."""

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import FeatureSettings, legal_name
from tasks.core.date_path import FIELD, WILDCARD, unescaped
from tasks.core.source_settings import SourceSettings
from tasks.operations.column_looks import ColumnLook
from tasks.operations.column_roles import Guess


@dataclass(frozen=True)
class SourceLook:
    """What was found in a source, and what is guessed from it.

    dates, read: all dates, and those that were looked at. columns: every column of their rows.
    roles, features: the guesses. guesses: one for each column, with the reason. warnings: of features that
    may be known only when the label is. ignored: what of the source was left aside, in sentences.
    """

    source: SourceSettings
    dates: tuple[date, ...]
    read: tuple[date, ...]
    columns: tuple[ColumnLook, ...]
    roles: ColumnSettings
    features: FeatureSettings
    guesses: tuple[Guess, ...]
    warnings: dict[str, str]
    ignored: tuple[str, ...]

    def column(self, name: str) -> ColumnLook:
        return next(column for column in self.columns if column.name == name)

    def guess(self, name: str) -> Guess:
        return next(guess for guess in self.guesses if guess.column == name)

    @property
    def left_out(self) -> dict[str, str]:
        """The columns that are neither a feature nor have a role, each with the reason."""
        return {guess.column: guess.why for guess in self.guesses if guess.role == "left out"}

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `nightscore init --json` prints, besides the file and the name."""
        return {
            "dates": len(self.dates),
            "first_date": self.dates[0],
            "last_date": self.dates[-1],
            "dates_read": list(map(str, self.read)),
            "notes": self.ignored,
            "label_positive": self.roles.label_positive,
            "columns": [
                asdict(guess) | {"warning": self.warnings.get(guess.column)} for guess in self.guesses
            ],
        }

    @property
    def name(self) -> str:
        """A legal name for the dataset: that of its table or, of files, of the folder that they are in."""
        if self.source.table is not None:
            return legal_name(self.source.table.rpartition(".")[2])
        path = self.source.path or ""
        wildcards = [match for match in WILDCARD.finditer(path) if match[1]]
        written = path[: min(match.start() for match in [*wildcards, *FIELD.finditer(path)])]
        folders = unescaped(written).split("/")[:-1]
        named = [folder for folder in folders if folder.strip(".")]
        return legal_name(named[-1] if named else Path.cwd().name)
