"""What travels between the steps of a night: small frozen references, never rows."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class Partition:
    """One day of the source, as found.

    fingerprint: hash of the content of the day and of its look-back, label and weight left out.
    """

    date: date
    rows: int
    fingerprint: str


@dataclass(frozen=True)
class Validated:
    """A partition that passed the gate.

    quarantine: Parquet in the staging folder, one line per bad row and rule, sorted by row:
        row int64 (position in the partition, from 0), id varchar, rule varchar, column varchar (null for a
        rule across columns), content varchar (the row as JSON, private columns masked). Empty where every row
        is good.
    rows_quarantined: distinct bad rows.
    data_docs: the night's Great Expectations page (HTML).
    notes: what was found and accepted, in sentences for the ledger, such as an unknown extra column.
    """

    partition: Partition
    quarantine: Path
    rows_quarantined: int
    data_docs: Path
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return self.partition.rows - self.rows_quarantined


@dataclass(frozen=True)
class Features:
    """The features of every clean row of one day.

    path: Parquet with row int64, id varchar, entity varchar, event_time timestamp, and the feature columns;
        None where there is no feature SQL: then they are read from the source, the quarantined rows left out.
    """

    validated: Validated
    path: Path | None

    @property
    def date(self) -> date:
        return self.validated.partition.date

    @property
    def rows(self) -> int:
        return self.validated.rows


@dataclass(frozen=True)
class Version:
    """A trained detector in its artifact folder.

    as_of: it never scores a date before this one; its training window is first_date..last_date.
    path: its folder, local or an fsspec URL. sha256: hash of the artifact's manifest.
    card: its model card, an HTML page.
    withheld: why it may not be promoted; None where it may.
    """

    name: str
    as_of: date
    first_date: date
    last_date: date
    path: str
    sha256: str
    card: Path
    withheld: str | None = None


@dataclass(frozen=True)
class ScoringModels:
    """Who scores a date: the champion, which flags, and the challengers that are scored beside it and flag
    nothing, oldest first.
    """

    champion: Version
    challengers: tuple[Version, ...] = ()


@dataclass(frozen=True)
class Scored:
    """The staged scores of one day.

    path: Parquet with row, id, entity, event_time, error, score, p_value, details, rank, is_flagged, reasons.
    threshold: the score from which rows are flagged.
    shadows: Parquet with id, error, score, p_value, rank, is_flagged, model_version: the same rows scored by
        each challenger; None where there is none.
    profile: Parquet in the columns of models.drift.profiles: the rows below the threshold, a sample of them
    where they are many.
    """

    path: Path
    rows: int
    flagged: int
    threshold: float
    shadows: Path | None = None
    profile: Path | None = None


@dataclass(frozen=True)
class Night:
    """What became of a night: the line that the command line prints and the ledger keeps.

    status: committed | already committed
    doubts: what was noted as it was committed, and is worth a look.
    """

    date: date
    run_id: str
    status: str
    rows_source: int
    rows_scored: int
    rows_quarantined: int
    rows_flagged: int
    model_version: str
    threshold: float
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """What nothing was learnt from. rows: of the window, or of its sample where `training.max_rows` are
    fewer; dates: that had any.

    known_frauds: by their label. unconfirmed: flagged, and no label says what they are; they count for
    thresholds and p-values alone.
    """

    rows: int
    dates: int
    known_frauds: int
    unconfirmed: int

    @property
    def contamination(self) -> float:
        """The share of the window's rows that was removed."""
        return (self.known_frauds + self.unconfirmed) / self.rows

    def __str__(self) -> str:
        told = f"{self.known_frauds:,} known frauds, {self.unconfirmed:,} flagged rows that no label explains"
        return f"left out: {told} ({self.contamination:.2%} of the window)"
