"""What a model card shows beside the detector itself."""

from dataclasses import dataclass

from models.gates import Gate


@dataclass(frozen=True)
class CardFacts:
    """dataset: its name. rows: how many rows of the window were used for training. anomalies: how many known frauds it has.

    rule: the threshold strategy and its value in words, such as "train_quantile 0.99".
    threshold: the score from which rows are flagged; None where it depends on the night.
    gates: what the training was checked for. withheld: why the version is kept out of service, None where it is not.
    private: columns whose values must not be shown.
    """

    dataset: str
    rows: int
    anomalies: int
    rule: str
    threshold: float | None = None
    gates: tuple[Gate, ...] = ()
    withheld: str | None = None
    private: tuple[str, ...] = ()
