"""What a model card shows beside the detector itself."""

from dataclasses import dataclass

from models.checks.gates import Gate
from tasks.core.references import LeftOut


@dataclass(frozen=True)
class CardFacts:
    """dataset: its name. rows: how many rows of the window were used for training. left_out: what nothing was
    learnt from.

    rule: the threshold strategy and its value in words, such as "train_quantile 0.99".
    threshold: the score from which rows are flagged; None where it depends on the night.
    gates: what the training was checked for.
    private: columns whose values must not be shown.
    """

    dataset: str
    rows: int
    left_out: LeftOut
    rule: str
    threshold: float | None = None
    gates: tuple[Gate, ...] = ()
    private: tuple[str, ...] = ()
