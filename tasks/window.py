"""Which nights are judged together, and by which labels."""

from dataclasses import dataclass
from datetime import date

from pydantic import Field

from models.settings import Section


class EvaluationSettings(Section):
    """How a window of nights is judged."""

    window_days: int = Field(7, ge=1)
    top_k: tuple[int, ...] = (100,)
    exclude_known_compromised: bool = True


@dataclass(frozen=True)
class Window:
    """The dates `first`..`last`, judged by the labels known at the end of `as_of`."""

    first: date
    last: date
    as_of: date
