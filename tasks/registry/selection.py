"""Which versions score a date: the champion, and the challengers beside it."""

from datetime import date

from tasks.core.dataset import Dataset
from tasks.core.identity import training_identity
from tasks.core.references import ScoringModels
from tasks.registry.versions import find_champion, stored_version
from tasks.warehouse.connection import Warehouse


def select_models(dataset: Dataset, warehouse: Warehouse, day: date) -> ScoringModels | None:
    """The champion of a date and its challengers that were trained with this configuration; None without a
    champion.
    """
    champion = find_champion(dataset, warehouse, day)
    if champion is None:
        return None
    challengers = warehouse.rows(
        "registry/find_challengers",
        training_hashes=list(training_identity(dataset).hashes),
        partition_date=day,
        champion=champion.name,
        champion_as_of=champion.as_of,
    )
    return ScoringModels(champion, tuple(stored_version(warehouse, row) for row in challengers))
