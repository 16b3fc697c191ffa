"""A scored night that waits for its commit: staged before the warehouse is opened, so that nothing is scored
twice.
"""

import secrets
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from models.settings import ThresholdSettings
from tasks.core.atomic_files import write_atomically
from tasks.core.dataset import Dataset
from tasks.core.identity import run_identity
from tasks.core.references import Features, Night, Scored, Version

FILE = "publication.json"


@dataclass(frozen=True)
class StagedNight:
    """Everything that one commit writes.

    config_hash: of the keys that decide scores. started_at: instant, UTC. durations: seconds by step.
    threshold: the rule that rows were flagged by. force: whether it is committed although the same night
    already is. doubt: why the night is doubtful; None if it is not. accepted_by: who commits it all the same.
    format: of this file; one of another format is never committed.
    """

    run_id: str
    features: Features
    scored: Scored
    version: Version
    config_hash: str
    threshold: ThresholdSettings
    started_at: datetime
    durations: dict[str, float]
    force: bool
    doubt: str | None
    format: Literal[4]
    accepted_by: str | None = None

    @property
    def date(self) -> date:
        return self.features.date

    def night(self) -> Night:
        """The night that a commit makes of it: no longer doubtful once it is accepted."""
        doubt = None if self.accepted_by else self.doubt
        return Night(
            date=self.date,
            run_id=self.run_id,
            status="committed",
            rows_source=self.features.validated.partition.rows,
            rows_scored=self.scored.rows,
            rows_quarantined=self.features.validated.rows_quarantined,
            rows_flagged=self.scored.flagged,
            rows_unknown=self.scored.unknown,
            model_version=self.version.name,
            threshold=self.scored.threshold,
            doubts=(doubt,) if doubt else (),
            doubt=doubt,
        )


def stage_night(
    dataset: Dataset,
    features: Features,
    scored: Scored,
    version: Version,
    started_at: datetime,
    durations: dict[str, float],
    *,
    force: bool = False,
    doubt: str | None = None,
) -> StagedNight:
    """Returns the night of these scores, with a run id of its own."""
    return StagedNight(
        run_id=new_run_id(features.date),
        features=features,
        scored=scored,
        version=version,
        config_hash=run_identity(dataset).current,
        threshold=dataset.threshold,
        started_at=started_at,
        durations=durations,
        force=force,
        doubt=doubt,
        format=4,
    )


def new_run_id(day: date) -> str:
    """A name for one attempt to score a date."""
    return f"{day}-{secrets.token_hex(4)}"


def write_staged(night: StagedNight, folder: Path) -> None:
    """Writes it into the night's folder, beside the files that it refers to."""
    write_atomically(folder / FILE, _ADAPTER.dump_json(night).decode())


def read_staged(folder: Path) -> StagedNight | None:
    """Returns the night that waits in a folder; None where there is none.

    Raises ValidationError where it was staged by another version of Nightscore.
    """
    path = folder / FILE
    return _ADAPTER.validate_json(path.read_bytes()) if path.is_file() else None


_ADAPTER = TypeAdapter(StagedNight)
