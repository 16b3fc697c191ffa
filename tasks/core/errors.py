"""What can go wrong in a night.

Each message names the date, the file or column, the count, and what to do.
"""


class NightError(Exception):
    """A step of a night refused or failed; nothing of the night was published."""


class SourceError(NightError):
    """The source cannot be read: a missing, empty or corrupt partition, a missing table or column."""


class PartitionMissing(SourceError):
    """The source has no partition of the date that was asked for."""


class PartitionRejected(NightError):
    """The partition was read and refused: a broken schema, or more bad rows than the configuration allows."""


class FeatureError(NightError):
    """The feature SQL failed, lost rows, or returned duplicates."""


class WarehouseError(NightError):
    """The warehouse cannot be opened or refused the transaction."""


class WarehouseHeld(WarehouseError):
    """Another process holds the warehouse for longer than the configuration waits."""


class PublishDeferred(WarehouseHeld):
    """The night is scored and kept, and waits to be committed until the warehouse is free."""


class WarehouseMissing(WarehouseError):
    """There is no warehouse yet, or nothing of this dataset in it."""


class LabelsRefused(NightError):
    """A file of labels cannot be read, or says something that cannot be meant; nothing of it was recorded."""


class CaughtUpInPart(NightError):
    """Some of the dates to catch up with failed; the others are committed."""


class Overtaken(NightError):
    """A scheduled run that another one stands in for; there is nothing left for it to do."""


class BackfilledInPart(NightError):
    """Some of the dates of a backfill failed; the others are committed."""


class EvaluationError(NightError):
    """There is nothing to judge: no scores, or no labels that are known."""


class GateFailed(NightError):
    """A version failed a sanity gate and is kept out of service."""


class NoChampion(NightError):
    """No version may flag: the configuration leaves promotions to a person, and nobody has promoted one."""


class PromotionRefused(NightError):
    """A version may not be made champion, or there is none to go back to; nothing was changed."""


def first_line(error: Exception) -> str:
    """What a library says went wrong, without its hints and its own traceback."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
