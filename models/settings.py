"""The sections of the configuration that the detectors consume: [model], [training], [threshold] and
[drift].
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A section of the configuration: immutable; unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True
    )  # a value may be a secret


class ImageSettings(Section):
    """A column of images: PNG or JPEG bytes, or lists of height x width x channels numbers, row by row,
    channels last.
    """

    column: str
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: Literal[1, 3] = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


class ModelSettings(Section):
    """The networks, and the score by which rows are ranked."""

    architecture: Literal["dense", "linear", "vae", "conv", "denoiser"] = "dense"
    hidden: tuple[int, ...] | None = Field(
        None, min_length=1
    )  # units per layer; the narrowest, or the first of several, is the latent layer; None: see LAYERS
    filters: tuple[int, ...] = Field(
        (16, 32), min_length=1
    )  # conv: per convolution of stride 2; the decoder mirrors them
    latent: int = Field(32, ge=1)  # conv: units of the latent layer
    activation: str = "relu"
    input_noise: float = Field(0.1, ge=0, le=1)  # standard deviation, encoded units
    dropout: float = Field(0.0, ge=0, lt=1)
    activity_regularisation: float = Field(
        0.0, ge=0
    )  # dense: weight of the mean absolute activity of the latent layer
    kl_weight: float = Field(
        0.1, ge=0
    )  # vae: the variance of the decoder, encoded units; 1 is the plain evidence lower bound
    draws: int = Field(16, ge=1)  # vae: noise draws per row for reconstruction_probability
    score: Literal[
        "error", "mae", "whitened", "reconstruction_probability", "neighbours", "combined", "auto"
    ] = "whitened"
    explain_below: float = Field(0.05, ge=0, le=1)  # reasons are stored up to this p-value
    members: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.score == "reconstruction_probability" and self.architecture != "vae":
            raise ValueError(
                f'score reconstruction_probability needs architecture "vae"; got {self.architecture!r}'
            )
        for key, architectures in USED_BY.items():
            if (
                self.architecture not in architectures
                and getattr(self, key) != type(self).model_fields[key].default
            ):
                raise ValueError(
                    f"{key} has no meaning for architecture {self.architecture!r}, only for "
                    f"{', '.join(architectures)}; remove it"
                )
        return self


USED_BY = {
    "hidden": ("dense", "linear", "vae", "denoiser"),
    "filters": ("conv",),
    "latent": ("conv",),
    "activation": ("dense", "vae", "conv", "denoiser"),
    "input_noise": ("dense", "linear", "vae", "conv"),
    "dropout": ("dense", "linear", "vae", "conv"),
    "activity_regularisation": ("dense",),
    "kl_weight": ("vae",),
    "draws": ("vae",),
}


class TrainingSettings(Section):
    """The rows that a version is trained on, when it is trained, and how."""

    window_days: int = Field(7, ge=1)
    label_delay_days: int = Field(7, ge=0)
    rows: Literal["normal", "all"] = "normal"
    retrain_every_days: int = Field(7, ge=1)
    epochs: int | None = Field(None, ge=1)  # at most; None: training by steps, see networks.schedule
    batch_size: int | None = Field(None, ge=1)  # None: 256 by steps, 512 where epochs is set
    learning_rate: float = Field(1e-3, gt=0)
    seed: int = 42
    max_rows: int = Field(1_000_000, ge=100)  # a larger window is sampled, by a hash of the id
    gate: Literal["warn", "strict"] = "warn"  # if it does not beat no_model; strict: it flags nothing
    promotion: Literal["automatic", "manual"] = (
        "automatic"  # who makes a version champion: the rule of [challenger], or only a person
    )


class ThresholdSettings(Section):
    """The score from which rows are flagged; the meaning of `value` depends on the strategy."""

    strategy: Literal[
        "fixed", "train_quantile", "batch_quantile", "midpoint", "best_f1", "cost", "budget", "fdr"
    ] = "train_quantile"
    value: float = 0.99

    @property
    def rule(self) -> str:
        """The strategy and its value, such as "train_quantile 0.99"."""
        return f"{self.strategy} {self.value:g}"


class DriftSettings(Section):
    """The limits beyond which a night's rows differ from the champion's training rows, and whether a training
    follows.
    """

    psi: float = Field(0.2, gt=0)  # population stability index of a feature
    wasserstein: float = Field(
        0.3, gt=0
    )  # of a numeric feature, encoded units: standard deviations of the training rows
    error_shift: float = Field(0.3, gt=0)  # relative change of a quantile of the error against the reference
    retrain: bool = True
