"""The values passed between the steps of a night: small frozen references to files, never rows."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

Dates = tuple[date, ...]


@dataclass(frozen=True)
class DateLeftOut:
    """A date whose rows are not used. reason: what is wrong with it, in words."""

    date: date
    reason: str

    def __str__(self) -> str:
        return f"{self.date} ({self.reason})"


@dataclass(frozen=True)
class Partition:
    """One day of the source.

    rows: number of rows, good and bad.
    fingerprint: hash of the rows of the day and of its look-back, without the label and weight columns.
    earlier_fingerprints: what earlier versions of Nightscore would have stored, where that differs.
    look_back: the dates of the look-back whose rows features may use. repeating: those of them with an id
        that occurs more than once. left_out: the dates that fail the gate.
    listing: hash of the names, sizes and times of the files that were read; None where they are not known.
    """

    date: date
    rows: int
    fingerprint: str
    earlier_fingerprints: tuple[str, ...] = ()
    look_back: Dates = ()
    repeating: Dates = ()
    left_out: tuple[DateLeftOut, ...] = ()
    listing: str | None = field(default=None, compare=False)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Every fingerprint by which a night of these rows may have been stored, the newest first."""
        return self.fingerprint, *self.earlier_fingerprints


@dataclass(frozen=True)
class RowSum:
    """The identities of some rows, in any order. total: sum of the hashes of (id, copy), as digits."""

    rows: int
    total: str


@dataclass(frozen=True)
class Validated:
    """A partition that passed validation.

    refused: Parquet file in the staging folder, one line per row that is not scored: id varchar (canonical,
        null if the row has none), copy bigint (the number of the row among those of its id), is_repeated
        boolean (whether the id occurs more than once).
    quarantine: Parquet file, one line per bad row and broken rule: row int64 (numbers the bad rows from 0),
        id varchar (masked if private), copy bigint, rule varchar, column varchar (null for a rule across
        columns), content varchar (the row as JSON, private columns masked). Empty if every row is good.
    rows_quarantined: number of bad rows.
    found, clean: the identities of all rows, and of those that are scored.
    data_docs: the night's Great Expectations page (HTML).
    notes: accepted findings, as sentences for the ledger, such as an unknown extra column.
    """

    partition: Partition
    refused: Path
    quarantine: Path
    rows_quarantined: int
    found: RowSum
    clean: RowSum
    data_docs: Path
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return self.clean.rows


@dataclass(frozen=True)
class Features:
    """The features of every clean row of one day.

    path: Parquet with id varchar, entity varchar, event_time timestamp, and the feature columns, their names
        after FEATURE. None if there is no feature SQL: the features are then read from the source, without
        the refused rows.
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

    as_of: the first date that the version may score; its training window is first_date..last_date.
    path: its folder, local or an fsspec URL. sha256: hash of the artifact's manifest.
    card: its model card, an HTML page.
    withheld: why the version may not be promoted; None if it may.
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
    """The versions that score a date: the champion, which flags rows, and the challengers, oldest first,
    whose scores are stored for comparison only.
    """

    champion: Version
    challengers: tuple[Version, ...] = ()


@dataclass(frozen=True)
class Scored:
    """The staged scores of one day.

    path: Parquet with id, entity, event_time, error, score, p_value, details, rank, rank_alone, is_flagged,
        flagged_by, reasons.
    threshold: rows with at least this score are flagged.
    unknown: number of flagged rows that the networks alone have on the list; None without a reserve.
    unknown_threshold: the networks' score from which they are flagged.
    shadows: Parquet with id, error, score, p_value, rank, is_flagged, model_version: the same rows scored by
        each challenger; None if there is no challenger.
    profile: Parquet with the columns of models.drift.profiles: the rows below the threshold, or a sample of
        them if there are many.
    notes: what is odd about the features, as sentences for the ledger.
    moved: the features whose values differ most from the training rows, with their figures, the largest
        first.
    """

    path: Path
    rows: int
    flagged: int
    threshold: float
    unknown: int | None = None
    unknown_threshold: float | None = None
    shadows: Path | None = None
    profile: Path | None = None
    notes: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Night:
    """The outcome of a night, as the command line prints it.

    status: committed | already committed | held | already held
    doubts: warnings found when the night was committed or held.
    doubt: why the night is doubtful, while nobody has accepted it; None if it is not.
    replaces: the committed run of the date that this one has superseded; None if there was none.
    rows_unknown: the flagged rows of an unknown pattern; None without a reserve.
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
    doubt: str | None = None
    replaces: str | None = None
    rows_unknown: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether its rows wait to be accepted."""
        return self.status in ("held", "already held")


def of_unknown_pattern(rows: int | None) -> str:
    """Returns how many of the flagged rows are of an unknown pattern, in words; "" without a reserve."""
    return "" if rows is None else f" ({rows:,} for an unknown pattern)"


@dataclass(frozen=True)
class LeftOut:
    """The rows that a training left out.

    rows: number of rows of the window, or of its sample if `training.max_rows` is smaller.
    dates: number of dates that have rows.
    known_frauds: rows with a fraud label.
    unconfirmed: flagged rows without a known label; they are used for thresholds and p-values only.
    strange_labels: rows whose label is no label.
    """

    rows: int
    dates: int
    known_frauds: int
    unconfirmed: int
    strange_labels: int = 0

    @property
    def contamination(self) -> float:
        """The share of the window's rows that was removed."""
        return (self.known_frauds + self.unconfirmed) / self.rows

    def __str__(self) -> str:
        rows = f"{self.known_frauds:,} known frauds, {self.unconfirmed:,} flagged rows without a known label"
        strange = f", {self.strange_labels:,} rows whose label is no label" if self.strange_labels else ""
        return f"left out: {rows} ({self.contamination:.4f} of the window){strange}"
