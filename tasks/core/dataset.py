"""The configuration of a dataset: all of its sections together, and `[features]`."""

import re
from datetime import date, timedelta
from typing import Self
from unicodedata import normalize

from pydantic import field_validator, model_validator

from models.settings import (
    DriftSettings,
    HeadSettings,
    ImageSettings,
    ModelSettings,
    Section,
    ThresholdSettings,
    TrainingSettings,
)
from sql import folded
from tasks.core.alert_settings import AlertSettings
from tasks.core.column_settings import ColumnSettings, QualitySettings
from tasks.core.source_settings import SourceSettings

RESERVED = ("main", "information_schema", "pg_catalog")  # schemas that every database of DuckDB has
LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # a dataset's name


def legal_name(text: str) -> str:
    """Returns a legal name of a dataset that resembles a text, such as the name of a folder."""
    plain = normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-_") or "dataset"
    return f"{name}-data" if folded(name) in RESERVED else name


class FeatureSettings(Section):
    """The detector's inputs: columns of the source, or of the feature SQL's result. At least one is needed;
    an image cannot be combined with other features.

    With `sql`, DuckDB runs your statement over the view `history`: the day's good rows and those of
    `source.lookback_days` before it, without bad days, with the column `_partition_date`. The statement may
    use `$partition_date` and `$label_delay_days`. It returns the id and the features, one row per row of the
    day. Labels that nobody knew on that night are null in `history`, so no feature can leak them.
    """

    sql: str | None = None
    """A file beside the configuration, or in our sql/. Unset: the source's own columns."""
    numeric: tuple[str, ...] = ()
    """Numbers and booleans."""
    categorical: tuple[str, ...] = ()
    """Everything else: each value is a category."""
    label_derived: tuple[str, ...] = ()
    """Those of the features that are built from labels: evaluations report figures with and without them."""
    image: ImageSettings | None = None
    """A column of images."""

    @property
    def names(self) -> tuple[str, ...]:
        return self.numeric + self.categorical + ((self.image.column,) if self.image else ())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.names:
            raise ValueError("name at least one numeric or categorical feature, or an image")
        if self.image and len(self.names) > 1:
            raise ValueError(
                "an image cannot be combined with other features; remove image, or numeric and categorical"
            )
        if len(set(self.names)) < len(self.names):
            raise ValueError("a feature is named twice")
        if unknown := sorted(set(self.label_derived) - set(self.numeric + self.categorical)):
            raise ValueError(f"label_derived names columns that are not features: {', '.join(unknown)}")
        return self

    def without_label_derived(self) -> "FeatureSettings":
        return self.model_copy(
            update={
                "numeric": tuple(name for name in self.numeric if name not in self.label_derived),
                "categorical": tuple(name for name in self.categorical if name not in self.label_derived),
                "label_derived": (),
            }
        )


class Dataset(Section):
    """A dataset: its source, the rows and features to use, how to train on them and when to flag a row."""

    name: str
    """The schema in the warehouse and the folder in `warehouse.files`: letters, digits, - and _. Unset: the
    name of the file's folder.
    """
    source: SourceSettings
    """Where the rows come from."""
    columns: ColumnSettings
    """What each column means."""
    features: FeatureSettings
    """What the detector sees."""
    quality: QualitySettings = QualitySettings()
    """Which rows are good."""
    model: ModelSettings = ModelSettings()
    """The detector."""
    training: TrainingSettings = TrainingSettings()
    """What a version learns from, and when."""
    head: HeadSettings = HeadSettings()
    """What a version learns from known frauds."""
    threshold: ThresholdSettings = ThresholdSettings()
    """Which rows are flagged."""
    drift: DriftSettings = DriftSettings()
    """When rows no longer look like the training rows."""
    alerts: AlertSettings = AlertSettings()
    """Which alerts an analyst sees."""

    @field_validator("name")
    @classmethod
    def _is_legal(cls, name: str) -> str:
        if not LEGAL.fullmatch(name):
            raise ValueError(
                f"{name!r} must begin with a letter or digit, and have letters, digits, _ and - alone; such "
                f"as {legal_name(name)}"
            )
        if folded(name) in RESERVED:
            raise ValueError(f"{name} is a name that DuckDB keeps for itself; choose another")
        return name

    @model_validator(mode="after")
    def _columns_have_one_name(self) -> Self:
        spelled: dict[str, str] = {}
        for name in self.source_columns:
            if (other := spelled.setdefault(folded(name), name)) != name:
                raise ValueError(f"{other} and {name} are the same column to DuckDB; write it in one way")
        return self

    @model_validator(mode="after")
    def _image_has_no_column_rule(self) -> Self:
        if (image := self.features.image) and image.column in self.quality.columns:
            raise ValueError(
                f"features.image already defines what column {image.column} must hold; remove "
                f"[quality.columns.{image.column}]"
            )
        return self

    @model_validator(mode="after")
    def _kind_is_no_feature(self) -> Self:
        if self.columns.label_kind and self.columns.label_kind in self.features.names:
            raise ValueError(
                f"columns.label_kind {self.columns.label_kind} is a feature, which would show a version what "
                "it is to find; remove one of the two"
            )
        return self

    @model_validator(mode="after")
    def _head_has_rows(self) -> Self:
        if self.head.kind == "boosted" and self.features.image:
            raise ValueError('head.kind "boosted" is not for images; set it to "none"')
        if self.head.kind == "boosted" and self.training.rows == "all":
            raise ValueError(
                'head.kind "boosted" needs training.rows = "normal": it learns from frauds that the networks '
                "do not learn"
            )
        if self.head.kind == "none" and self.threshold.reserve:
            raise ValueError(
                "threshold.reserve shares the list between a head and the networks, and there is no head; "
                'set head.kind = "auto", or remove threshold.reserve'
            )
        return self

    @property
    def source_columns(self) -> tuple[str, ...]:
        """The columns of the source that have a role, are read as features or have a rule."""
        columns, features = self.columns, () if self.features.sql else self.features.names
        roles = (columns.id, columns.time, columns.entity, *columns.late)
        named = (*roles, *columns.private, *columns.details, *features, *self.quality.columns)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def is_private(self, feature: str) -> bool:
        """Whether the values of a feature are masked. A pixel, such as photo[0,3], is its image column's."""
        column = self.features.image.column if self.features.image else feature
        return column in self.columns.private

    @property
    def label_delay_days(self) -> int:
        """Days until the label of a row is known; 0 without a label column."""
        return self.training.label_delay_days if self.columns.label else 0

    def training_window(self, as_of: date) -> tuple[date, date]:
        """Returns the first and last date of the training window: the newest `window_days` dates whose labels
        are known at the start of `as_of`.
        """
        last = as_of - timedelta(days=self.label_delay_days + 1)
        return last - timedelta(days=self.training.window_days - 1), last

    def without_label_derived(self) -> Self:
        """The same dataset without the features that are built from labels."""
        return self.model_copy(update={"features": self.features.without_label_derived()})
