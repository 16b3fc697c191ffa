"""Why what was stored and what would be computed differ, in sentences."""

from collections.abc import Iterator
from datetime import UTC, datetime

from models.settings import ThresholdSettings
from tasks.core.dataset import Dataset
from tasks.core.forgotten import is_forgotten
from tasks.core.identity import run_identity, training_identity
from tasks.evaluation.snapshot import Snapshot


def moment(instant: datetime) -> str:
    """An instant to the second, UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def words(rule: ThresholdSettings | None) -> str | None:
    """A threshold rule, such as `train_quantile 0.99`."""
    return rule.rule if rule else None


def reasons(known: Snapshot, dataset: Dataset, other_threshold: bool, other_rows: bool) -> Iterator[str]:
    """Returns why the two differ; at least one sentence wherever rows differ (`other_rows`).

    other_threshold: whether the two flagged from different scores on.
    """
    run, champion = known.run, known.champion
    if run is None or champion is None:
        return
    name = champion.version.name
    forgotten = known.rows.filter(is_forgotten("id")).height
    if forgotten:
        yield f"{forgotten:,} stored rows were forgotten since, and are not computed or compared"
    if found := run.version != name:
        yield (
            f"the run used {run.version}; the champion of {known.date} at {moment(known.as_of)} was {name}, "
            f"promoted at {moment(champion.promoted_at)} for dates from {champion.effective_from} on"
        )
    if run.rule is None:
        found = True
        yield "the run did not note its threshold rule; another one was used"
    if run.config_hash not in run_identity(dataset):
        found = True
        yield f"[features], [quality], [model] or [threshold] have changed since {run.run_id} was committed"
    if champion.training_hash not in training_identity(dataset):
        found = True
        yield f"[features], [quality], [model] or [training] have changed since {name} was trained"
    if not found and (other_rows or other_threshold):
        yield (
            "version, rule, source and configuration are the same: Nightscore, its libraries or the "
            "device have changed since"
        )
