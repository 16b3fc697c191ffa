"""The sections of the configuration that the detectors consume: [model], [training], [head],
[threshold] and [drift].
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A section of the configuration: immutable; unknown keys are refused.

    The text below a key describes it in docs/configuration.md and in the schema for editors.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True
    )  # a value may be a secret


class ImageSettings(Section):
    """A column of images, instead of other features: PNG or JPEG bytes, or lists of height x width x channels
    numbers, row by row, channels last. An image that cannot be read is quarantined like any other bad row.
    """

    column: str
    """The column of the source that holds the images."""
    height: int = Field(ge=1)
    """Pixels."""
    width: int = Field(ge=1)
    """Pixels."""
    channels: Literal[1, 3] = 1
    """1 is grey, 3 is red, green and blue."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


class ModelSettings(Section):
    """The networks, and the score by which rows are ranked. A key that the architecture does not use is
    refused, unless it has its default.
    """

    architecture: Literal["dense", "linear", "vae", "conv", "denoiser"] | None = None
    """The kind of network; conv is for images. Unset: denoiser; but dense for images, and where hidden,
    input_noise, dropout or activity_regularisation is set.
    """
    hidden: tuple[int, ...] | None = Field(None, min_length=1)
    """All but conv: units per layer; the narrowest, or the first of several, is the latent layer. Unset: 128,
    half the number of features (2 to 64), 128. Of denoiser: units per block; unset: 128, 128.
    """
    filters: tuple[int, ...] = Field((16, 32), min_length=1)
    """conv: filters per convolution of stride 2; the decoder mirrors them."""
    latent: int = Field(32, ge=1)
    """conv: units of the latent layer."""
    activation: str = "relu"
    """dense, vae, conv, denoiser: any activation of Keras."""
    input_noise: float = Field(0.1, ge=0, le=1)
    """All but denoiser: standard deviation of the noise to remove, encoded units."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """All but denoiser: share of the inputs that are hidden in training."""
    activity_regularisation: float = Field(0.0, ge=0)
    """dense: weight of the mean absolute activity of the latent layer."""
    kl_weight: float = Field(0.1, ge=0)
    """vae: the variance of the decoder, encoded units; 1 is the plain evidence lower bound (ELBO)."""
    draws: int = Field(16, ge=1)
    """vae: noise draws per row for reconstruction_probability."""
    score: (
        Literal["error", "mae", "whitened", "reconstruction_probability", "neighbours", "combined", "auto"]
        | None
    ) = None
    """By what rows are ranked. Unset: combined, and whitened for images. reconstruction_probability needs
    vae.
    """
    explain_below: float = Field(0.05, ge=0, le=1)
    """Reasons are stored for flagged rows, and for rows with a p-value up to this."""
    members: int = Field(1, ge=1)
    """Number of differently seeded networks whose scores are averaged."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.score == "reconstruction_probability" and self.architecture != "vae":
            raise ValueError(
                f'score reconstruction_probability needs architecture "vae"; got {self.architecture!r}'
            )
        architecture = self.architecture or OF_KEYS
        for key, architectures in USED_BY.items():
            if architecture not in architectures and self._sets(key):
                raise ValueError(
                    f"{key} has no meaning for architecture {architecture!r}, only for "
                    f"{', '.join(architectures)}; remove it"
                )
        return self

    @property
    def named_architecture(self) -> str | None:
        """The architecture that the keys name: without its own, OF_KEYS where a key of OF_BOTTLENECKS is set;
        None where the features decide.
        """
        return self.architecture or (OF_KEYS if any(map(self._sets, OF_BOTTLENECKS)) else None)

    def _sets(self, key: str) -> bool:
        """Whether a key has another value than its default."""
        return bool(getattr(self, key) != type(self).model_fields[key].default)


OF_KEYS = "dense"  # the architecture that keys without one are for
OF_BOTTLENECKS = ("hidden", "input_noise", "dropout", "activity_regularisation")
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
    """Number of dates to train on."""
    label_delay_days: int = Field(7, ge=0)
    """Days until the labels of a date are known."""
    rows: Literal["normal", "all"] = "normal"
    """normal: without known frauds and unexplained flags."""
    retrain_every_days: int = Field(7, ge=1)
    """The age at which a new version is due."""
    epochs: int | None = Field(None, ge=1)
    """At most so many. Unset: at most 4,000 steps, whatever the number of rows."""
    batch_size: int | None = Field(None, ge=1)
    """Rows per step. Unset: 256, or 512 where epochs is set."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of the optimiser, at the start."""
    seed: int = 42
    """The same rows with the same seed give the same version."""
    max_rows: int = Field(1_000_000, ge=100)
    """A larger window is sampled by a hash of the id."""
    gate: Literal["warn", "strict"] = "warn"
    """What becomes of a version that is no better than no model at all; strict: it is kept out of service."""
    promotion: Literal["automatic", "manual"] = "automatic"
    """Who makes a version champion: the rule of `[challenger]`, or only a person."""


class HeadSettings(Section):
    """A head beside the networks: gradient boosted trees that learn from the known frauds of a window of
    their own. The score is then the head's log odds plus `weight` times how surprising the networks find the
    row. It is not for images, and needs `training.rows = "normal"`.
    """

    kind: Literal["none", "boosted", "auto"] = "none"
    """auto, which `nightscore init` writes: where enough frauds are known and it ranked better on the newest
    matured dates, beyond chance; boosted: also where chance may explain it, or it cannot be measured.
    """
    window_days: int = Field(25, ge=1)
    """Number of dates whose labels it learns from, up to the last one of the training window."""
    least_frauds: int = Field(50, ge=1)
    """auto: known frauds in its window, at least."""
    weight: float = Field(1.0, gt=0)
    """Of the networks' score, -log of the share of normal rows with a higher one, beside the log odds."""


class ThresholdSettings(Section):
    """The score from which rows are flagged."""

    strategy: Literal[
        "fixed", "train_quantile", "batch_quantile", "midpoint", "best_f1", "cost", "budget", "fdr"
    ] = "train_quantile"
    """How rows are chosen. midpoint, best_f1 and cost need `columns.label`; fixed needs `model.score` and
    `model.architecture`.
    """
    value: float = 0.99
    """A score (fixed), a quantile (train_quantile, batch_quantile), the cost of a missed fraud in false
    alarms (cost), a number of entities (budget) or a tolerated share of false alarms (fdr); not used by the
    others.
    """
    reserve: float = Field(0.0, ge=0, le=1)
    """Of the list, for what the networks alone find strange, where a version has a head: the list of budget,
    fdr and both quantiles. `nightscore init` writes 0.5.
    """

    @model_validator(mode="after")
    def _can_be_shared(self) -> Self:
        if self.reserve and self.strategy not in SHARED:
            raise ValueError(
                f"reserve has no meaning for strategy {self.strategy!r}, only for {', '.join(SHARED)}; "
                "remove it"
            )
        return self

    @property
    def rule(self) -> str:
        """The strategy and its value, such as "train_quantile 0.99", and the reserve where there is one."""
        reserve = f", reserve {self.reserve:g}" if self.reserve else ""
        return f"{self.strategy} {self.value:g}{reserve}"


SHARED = ("train_quantile", "batch_quantile", "budget", "fdr")


class DriftSettings(Section):
    """The limits beyond which a night's rows differ from the champion's training rows, and whether a training
    follows.
    """

    psi: float = Field(0.2, gt=0)
    """Population stability index of a feature."""
    wasserstein: float = Field(0.3, gt=0)
    """Distance of a numeric feature, encoded units: standard deviations of the training rows."""
    error_shift: float = Field(0.3, gt=0)
    """Relative change of a quantile of the error against the reference."""
    retrain: bool = True
    """Whether a training follows at once."""
