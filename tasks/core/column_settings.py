"""The configuration sections `[columns]` and `[quality]`: what each column means, and which rows are good."""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.settings import Section


class ColumnSettings(Section):
    """The role of each column of the source."""

    id: str
    """Identifies a row of a date."""
    time: str | None = None
    """The instant of the row."""
    entity: str | None = None
    """Who an alert is about, such as a card; card precision is per entity, too."""
    label: str | None = None
    """Whether a row is fraud: 1 or true is, 0 or false is not, null is not known yet."""
    label_positive: tuple[str | int | float | bool, ...] = ()
    """The labels that mean fraud, in any case; every other one but null is then normal."""
    label_kind: str | None = None
    """What kind of fraud a fraud is, for recall by kind; no feature, and not private."""
    weight: str | None = None
    """Sample weight, used by metrics alone."""
    private: tuple[str, ...] = ()
    """Columns whose values are masked in quarantine, Data Docs, reports and messages."""
    details: tuple[str, ...] = ()
    """Columns that are stored beside every score, as JSON, for people to read; none may be private."""

    @model_validator(mode="after")
    def _meanings_have_a_column(self) -> Self:
        if self.label_positive and not self.label:
            raise ValueError("label_positive needs label, the column whose values it names")
        if self.label_kind and not self.label:
            raise ValueError("label_kind needs label, the column that says which rows are frauds")
        return self

    @model_validator(mode="after")
    def _details_are_public(self) -> Self:
        if masked := [name for name in self.details if name in self.private]:
            raise ValueError(
                f"details would show private columns: {', '.join(masked)}; remove them from one of the two"
            )
        if self.label_kind in self.private:
            raise ValueError(
                f"label_kind would show the private column {self.label_kind}; remove one of the two"
            )
        if len(set(self.details)) < len(self.details):
            raise ValueError("details names a column twice")
        return self

    @property
    def late(self) -> tuple[str | None, ...]:
        """The columns that may come later than their rows: they never decide whether a row is scored, or
        how.
        """
        return self.label, self.weight, self.label_kind

    @property
    def masked(self) -> tuple[str, ...]:
        """The result columns that messages mask: `id` and `entity`, each if its source column is private."""
        return tuple(
            name for name, column in (("id", self.id), ("entity", self.entity)) if column in self.private
        )


class ColumnRule(Section):
    """The allowed values of one column. NaN counts as null; an infinite value is always bad."""

    nullable: bool = True
    """Whether a value may be missing."""
    min: float | None = None
    """The lowest good value."""
    max: float | None = None
    """The highest good value."""
    allowed: tuple[str | int | float | bool, ...] | None = None
    """All good values."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class QualitySettings(Section):
    """What happens to bad rows, and the rules for each column."""

    on_bad_rows: Literal["quarantine", "reject"] = "quarantine"
    """reject: one bad row rejects the whole partition."""
    max_bad_share: float = Field(0.05, ge=0, le=1)
    """A larger share of bad rows rejects the partition."""
    min_rows: int = Field(1, ge=1)
    """Fewer rows reject the partition."""
    columns: dict[str, ColumnRule] = Field(default_factory=dict)
    """The rules of each column."""
