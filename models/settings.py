"""The sections of the configuration that the detectors consume: [model], [training] and [threshold]."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A section of the configuration: immutable, and a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(Section):
    """What the networks are, and by which aggregation of their residuals rows are ranked."""

    architecture: Literal["dense"] = "dense"
    hidden: tuple[int, ...] = Field((100, 20, 100), min_length=1)
    activation: str = "relu"
    input_noise: float = Field(0.1, ge=0)  # standard deviation, encoded units
    dropout: float = Field(0.0, ge=0, lt=1)
    score: Literal["error", "mae", "whitened"] = "whitened"
    explain_below: float = Field(0.05, ge=0, le=1)  # p-value up to which reasons are kept
    members: int = Field(1, ge=1)


class TrainingSettings(Section):
    """Which rows a version learns from, when, and how."""

    window_days: int = Field(7, ge=1)
    label_delay_days: int = Field(7, ge=0)
    rows: Literal["normal", "all"] = "normal"
    retrain_every_days: int = Field(7, ge=1)
    epochs: int = Field(40, ge=1)
    batch_size: int = Field(512, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    seed: int = 42
    max_rows: int = Field(1_000_000, ge=100)  # a larger window is sampled, by a hash of the id


class ThresholdSettings(Section):
    """From which score a row is flagged; what `value` means depends on the strategy."""

    strategy: Literal["fixed", "train_quantile", "batch_quantile", "budget", "fdr"] = "train_quantile"
    value: float = 0.99
