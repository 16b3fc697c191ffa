"""Which versions score a date: the champion, and the challengers beside it."""

from datetime import date

import sql
from tasks.core.recipe import Recipe
from tasks.core.references import ScoringModels
from tasks.registry.versions import find_champion, stored_version
from tasks.warehouse.connection import reading
from tasks.warehouse.settings import WarehouseSettings


def select_models(recipe: Recipe, warehouse: WarehouseSettings, day: date) -> ScoringModels | None:
    """The champion of a date and its challengers, as far as they are trained with this configuration; None
    without a champion.
    """
    champion = find_champion(recipe, warehouse, day)
    if champion is None:
        return None
    key = {
        "training_hash": recipe.training_hash,
        "partition_date": day,
        "champion": champion.name,
        "champion_as_of": champion.as_of,
    }
    with reading(warehouse, recipe.dataset.name) as con:
        found = con.execute(sql.read("registry/find_challengers"), key).fetchall()
    return ScoringModels(champion, tuple(stored_version(warehouse, row[:-1]) for row in found))
