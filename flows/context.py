"""What the settings mean for the tasks: who writes the ledger, what a version is learnt from, how nights are
judged.
"""

from datetime import UTC, datetime

from flows.settings import Settings
from tasks.core.recipe import Recipe
from tasks.evaluation.evaluate import Bench
from tasks.publishing.ledger import Ledger


def ledger_of(settings: Settings) -> Ledger:
    """The ledger of the dataset, for a run that starts now."""
    return Ledger(
        settings.warehouse,
        settings.name,
        settings.config_hash,
        started_at=datetime.now(UTC),
        threshold=settings.threshold,
        flagged_share=settings.evaluation.flagged_share,
        masked=settings.columns.masked,
    )


def recipe_of(settings: Settings) -> Recipe:
    """Everything that decides what a version learns, besides the rows."""
    return Recipe(
        settings,
        settings.model,
        settings.training,
        settings.training_hash,
        settings.files,
        settings.threshold,
        settings.drift,
    )


def bench_of(settings: Settings, *, with_reduced: bool = False) -> Bench:
    """What a window of nights is judged with; `with_reduced` trains a detector without the label-derived
    features as well.
    """
    features = settings.features.without_label_derived() if settings.features.label_derived else None
    reduced = (
        recipe_of(settings.model_copy(update={"features": features})) if with_reduced and features else None
    )
    return Bench(recipe_of(settings), reduced, settings.warehouse, settings.evaluation)
