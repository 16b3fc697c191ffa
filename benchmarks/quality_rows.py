"""One line per figure of a detector or a baseline, and the Markdown table of those of the detectors."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.checks.baselines import TITLES

# baselines with a column of their own in the table
SHOWN = ("no_model", "untrained_network", "isolation_forest", "neighbours")


@dataclass(frozen=True)
class Row:
    """One figure of one detector: the mean over trainings with several random seeds, as are the bounds of
    its 95% interval, low and high. spread: its standard deviation over the seeds.

    rows and positives are what it was measured on.
    """

    data: str
    protocol: str
    config: str
    detector: str
    score: str | None
    metric: str
    value: float | None
    spread: float | None
    low: float | None
    high: float | None
    published: float | None
    reach: float | None
    reached: bool | None
    seeds: int
    rows: int
    positives: int
    chosen_on: str


def table(rows: list[Row]) -> str:
    """One Markdown line for each figure of a detector: its value beside those of baselines, the published one
    and the one to reach.

    What a line shares with the one above is not repeated.
    """
    head = [
        "data",
        "protocol",
        "detector",
        "metric",
        "value (95% interval)",
        *(TITLES[name] for name in SHOWN),
        "best baseline",
        "published",
        "to reach",
    ]
    lines = [head, ["---"] * len(head)]
    above: list[str] = []
    for row in (row for row in rows if row.score is not None):
        rivals = {
            other.detector: other.value
            for other in rows
            if other.score is None
            and (other.config, other.protocol, other.metric) == (row.config, row.protocol, row.metric)
        }
        where = [row.data, row.protocol, f"{row.detector}, {row.score}"]
        lines.append([*(where if where != above else ["", "", ""]), *_figures(row, rivals)])
        above = where
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figures(row: Row, rivals: Mapping[str, float | None]) -> list[str]:
    best = max(rivals, key=lambda name: rivals[name] or 0.0)
    return [
        row.metric.replace("_", " "),
        _shown(row.value) + _around(row),
        *(_shown(rivals[name]) for name in SHOWN),
        f"{_shown(rivals[best])} {TITLES[best]}",
        _shown(row.published),
        "" if row.reach is None else f"{row.reach:.3f}: {'reached' if row.reached else 'not reached'}",
    ]


def _around(row: Row) -> str:
    spread = "" if row.spread is None else f" ±{row.spread:.3f}"
    return spread if row.low is None or row.high is None else f"{spread} ({row.low:.3f}-{row.high:.3f})"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
