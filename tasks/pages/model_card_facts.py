"""The facts about a training that a model card shows beside the detector."""

from dataclasses import dataclass
from datetime import date

from models.checks.gates import Gate
from tasks.core.references import DateLeftOut, LeftOut


@dataclass(frozen=True)
class CardFacts:
    """The facts about a training.

    dataset: its name. rows: number of rows of the window that were used. left_out: the rows that were not.
    dates: the dates that were learnt from, in order. gaps: the other dates of the window, with the reason.
    rule: the threshold strategy and its value, such as "train_quantile 0.99".
    config_hash: hash of the keys that decide what the version learns (tasks.core.identity).
    threshold: rows with at least this score are flagged; None if it depends on the night.
    gates: the results of the checks of the training.
    private: columns whose values must not be shown.
    labels: rows of the window with a label known by then. selected: those of them that are answers to flagged
        rows for which nobody else had a label. head_labels, head_selected: the same of the head's window.
    why_no_head: why no head was learnt; None where one was, or none was asked for.
    reserve: the share of the list that is left to the networks alone, where there is a head.
    """

    dataset: str
    rows: int
    left_out: LeftOut
    dates: tuple[date, ...]
    gaps: tuple[DateLeftOut, ...]
    rule: str
    config_hash: str
    threshold: float | None = None
    gates: tuple[Gate, ...] = ()
    private: tuple[str, ...] = ()
    labels: int = 0
    selected: int = 0
    head_labels: int = 0
    head_selected: int = 0
    why_no_head: str | None = None
    reserve: float = 0.0
