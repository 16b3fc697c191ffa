"""The errors that Nightscore raises for its users.

Each message names the date, the file or column, the count, and what to do.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from models.errors import ModelError


class NightError(Exception):
    """A step failed or refused its input; nothing of the night was published."""


class SourceError(NightError):
    """The source cannot be read: a missing, empty or corrupt partition, a missing table or column."""


class PartitionMissing(SourceError):
    """The source has no partition for the requested date."""


class PartitionRejected(NightError):
    """The partition failed validation: its schema is wrong, or it has more bad rows than the configuration
    allows.
    """


class FeatureError(NightError):
    """The feature SQL failed, or did not return each clean row exactly once."""


class FrameRefused(NightError):
    """A frame is of an unknown kind, lacks columns of the features, or has values that are none of theirs."""


class WarehouseError(NightError):
    """The warehouse cannot be opened, or the transaction failed."""


class QueryFailed(WarehouseError):
    """DuckDB refused a query; the message is DuckDB's own, whose last lines point at the place."""


class WarehouseHeld(WarehouseError):
    """Another process held the warehouse for longer than the configured wait."""


class PublishDeferred(WarehouseHeld):
    """The night is scored and staged; it must be committed once the warehouse is free."""


class WarehouseMissing(WarehouseError):
    """The warehouse does not exist yet, or holds nothing of this dataset."""


class DiskFull(NightError):
    """There is no space left to write to; what was committed and staged before is there."""


class StillRunning(NightError):
    """Another process has worked on the same date or training for longer than anybody waits."""


class LabelsRefused(NightError):
    """A label file cannot be read or has invalid values; none of its labels was recorded."""


class CaughtUpInPart(NightError):
    """Some dates of a catch-up failed; the others are committed."""


class Overtaken(NightError):
    """A scheduled run is obsolete because another run does its work."""


class BackfilledInPart(NightError):
    """Some dates of a backfill failed; the others are committed."""


class EvaluationError(NightError):
    """The requested scores cannot be evaluated, explained or replayed: they are missing or were pruned, or
    the source has changed since.
    """


class GateFailed(NightError):
    """A version failed a sanity gate and is kept out of service."""


class NoChampion(NightError):
    """No version may flag rows: promotions are manual, and no version has been promoted."""


class PromotionRefused(NightError):
    """A version may not become champion, or there is no earlier champion to restore; nothing was changed."""


def first_line(error: Exception) -> str:
    """Returns the first line of a library's error message, which leaves out its hints and traceback; the name
    of the error's class if there is no message.
    """
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextmanager
def dated(day: date) -> Iterator[None]:
    """Writes the date before the message of an error of a detector, which knows none."""
    try:
        yield
    except ModelError as error:
        if re.match(r"\d{4}-\d{2}-\d{2}", str(error)):
            raise
        raise type(error)(f"{day}: {error}") from error


def is_full(error: Exception) -> bool:
    """Whether an error says that a device has no space left, be it the system's or a library's."""
    return bool(re.search(r"No space left on device|Disk quota exceeded", str(error)))


def shown(name: str) -> str:
    """Returns a name for a message: quoted where it has blanks, which would not show, or other signs."""
    return name if name.isidentifier() else repr(name)
