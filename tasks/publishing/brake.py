"""The brake: a night that flags far more rows than usual is doubtful, and may be held."""

from dataclasses import dataclass

from tasks.core.references import Scored


@dataclass(frozen=True)
class Brake:
    """low, high: the share of flagged rows between which a night is expected; below it is a warning, above it
    the night is doubtful. hold: whether a doubtful night is held instead of committed.
    """

    low: float
    high: float
    hold: bool

    def doubt(self, scored: Scored) -> str | None:
        """Returns why a night is doubtful, with the features that moved most; None if it is not."""
        share = scored.flagged / scored.rows if scored.rows else 0.0
        if share <= self.high:
            return None
        moved = f"; moved most: {', '.join(scored.moved)}" if scored.moved else ""
        return (
            f"{scored.flagged:,} of {scored.rows:,} rows are flagged, {share:.3f} of them, above "
            f"evaluation.flagged_share {self.high:g}{moved}"
        )
