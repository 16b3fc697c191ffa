"""Which nights are evaluated together, and by which labels."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import Field

from models.settings import Section
from tasks.core.populations import ALL, NEW
from tasks.publishing.brake import Brake


class EvaluationSettings(Section):
    """How a window of nights is evaluated."""

    window_days: int = Field(7, ge=1)
    """Nights that `nightscore report` evaluates together."""
    top_k: tuple[int, ...] = (100,)
    """Card precision is measured among so many entities per day."""
    exclude_known_compromised: bool = True
    """Which population comes first: without the entities that were known to be compromised, or all."""
    flagged_share: tuple[float, float] = (0.0, 0.1)
    """A night that flags a smaller share than the first gives a warning; a larger one than the second is
    doubtful.
    """
    outside: Literal["publish", "hold"] = "publish"
    """What becomes of a doubtful night; `nightscore init` writes hold."""
    relabel_days: int = Field(30, ge=1)
    """So many matured dates back a night reads the source's labels again."""

    @property
    def brake(self) -> Brake:
        """Returns which nights are doubtful, and whether they are held."""
        return Brake(*self.flagged_share, hold=self.outside == "hold")

    def population(self, *, has_entity: bool) -> str:
        """Returns of which rows figures are shown first; see the macro labelled_counts."""
        return NEW if self.exclude_known_compromised and has_entity else ALL


@dataclass(frozen=True)
class Window:
    """The dates `first`..`last`, evaluated by the labels known at the end of `as_of`."""

    first: date
    last: date
    as_of: date
