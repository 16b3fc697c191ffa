"""A scored night that waits for its commit: written down before the warehouse is touched, so that nothing is
scored twice.
"""

import secrets
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pydantic import TypeAdapter

from models.settings import ThresholdSettings
from tasks.core.atomic_files import write_atomically
from tasks.core.references import Features, Night, Scored, Version

FILE = "publication.json"


@dataclass(frozen=True)
class StagedNight:
    """Everything that one commit writes, staged.

    config_hash: of the sections that decide scores. started_at: instant, UTC. durations: seconds by step.
    threshold: what the rows were flagged by. force: whether it is committed although the same night already
    is.
    """

    run_id: str
    features: Features
    scored: Scored
    version: Version
    config_hash: str
    threshold: ThresholdSettings
    started_at: datetime
    durations: dict[str, float]
    force: bool = False

    @property
    def date(self) -> date:
        return self.features.date

    def night(self) -> Night:
        """What becomes of the night if this is committed."""
        return Night(
            date=self.date,
            run_id=self.run_id,
            status="committed",
            rows_source=self.features.validated.partition.rows,
            rows_scored=self.scored.rows,
            rows_quarantined=self.features.validated.rows_quarantined,
            rows_flagged=self.scored.flagged,
            model_version=self.version.name,
            threshold=self.scored.threshold,
        )


def new_run_id(day: date) -> str:
    """A name for one attempt to score a date."""
    return f"{day}-{secrets.token_hex(4)}"


def stage(publication: StagedNight, staging: Path) -> None:
    """Writes it into the night's folder, beside what it refers to."""
    write_atomically(staging / FILE, _ADAPTER.dump_json(publication).decode())


def read_staged(staging: Path) -> StagedNight | None:
    """The publication that waits in a folder; None where there is none.

    Raises ValidationError where it cannot be read.
    """
    path = staging / FILE
    return _ADAPTER.validate_json(path.read_bytes()) if path.is_file() else None


_ADAPTER = TypeAdapter(StagedNight)
