"""Prints the registry as a table that fits a terminal of 160 columns."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Any

from flows.console import say
from flows.data_table import data_table
from tasks.registry.listing import ChampionPeriod, LatestFigures, ListedVersion

CARDS = "card_precision_at_"


def version_tables(listed: Sequence[ListedVersion], comparisons: Collection[str]) -> None:
    """Prints one line per version, then who promoted the current champion, and why others are withheld or not
    promoted.

    comparisons: the training hashes of the versions that score no night and are compared with the others.
    """
    columns = [
        "version",
        "champion of",
        "trained on",
        "rows",
        "detector",
        "AP",
        "card prec.",
        "loss",
        "gates",
        "device",
    ]
    lines = [
        (
            version.version,
            _status(version, comparisons),
            _period(version.first_date, version.last_date),
            f"{version.rows:,}",
            f"{version.architecture},{chr(10) if len(version.score) > 10 else ' '}{version.score}",
            *_latest_figures(version.judged),
            version.training.get("validation_loss"),
            _gates(version.gates),
            version.device,
        )
        for version in listed
    ]
    data_table(columns, lines)
    for version in listed:
        if figures := version.judged:
            window = _period(figures.first_date, figures.last_date)
            say(f"Figures of {version.version}: nights {window}, labels known at the end of {figures.as_of}.")
    for version in listed:
        for period in version.champion:
            if period.effective_until is None:
                say(
                    f"Champion: {version.version} from {period.effective_from} on; by "
                    f"{period.promoted_by}: {period.why}."
                )
        if version.withheld:
            say(f"Withheld: {version.version}: {version.withheld}")
        if version.decision and not version.decision.promoted:
            outcome = "may be promoted by hand" if version.decision.fit else "was not promoted"
            say(f"Decided: {version.version} {outcome}: {version.decision.why}")


def _status(version: ListedVersion, comparisons: Collection[str]) -> str:
    """Returns the newest two periods as champion, or else the status of the version."""
    periods = [_champion_period(period) for period in version.champion]
    shown = [f"{len(periods) - 2} earlier"] * (len(periods) > 2) + periods[-2:]
    shown += ["withheld"] * bool(version.withheld)
    if not shown:
        is_comparison = version.training_hash in comparisons
        shown = ["comparison" if is_comparison else _challenger_status(version)]
    return "\n".join(shown + ([f"pruned {version.pruned_at:%Y-%m-%d}"] if version.pruned_at else []))


def _challenger_status(version: ListedVersion) -> str:
    if version.decision is None:
        return "challenger"
    return "promotable" if version.decision.fit else "not promotable"


def _champion_period(period: ChampionPeriod) -> str:
    end = period.effective_until
    return _period(period.effective_from, end - timedelta(days=1)) if end else f"{period.effective_from}.."


def _period(first: date, last: date) -> str:
    """Returns both dates, the second without its year if that is the same."""
    return f"{first}..{last:%m-%d}" if first.year == last.year else f"{first}..{last}"


def _latest_figures(figures: LatestFigures | None) -> tuple[str, str]:
    """Returns the average precision, and the card precision at the smallest budget that was measured."""
    if figures is None:
        return "-", "-"
    cards = sorted(
        (name for name in figures.metrics if name.startswith(CARDS)),
        key=lambda name: int(name.removeprefix(CARDS)),
    )
    found = [figures.metrics.get(name, {}).get("value") for name in ("average_precision", *cards[:1])]
    average, card = (*found, None)[:2]
    return _three_digits(average), _three_digits(card)


def _gates(gates: Sequence[dict[str, Any]]) -> str:
    """Returns `passed`, or how many gates failed and how many only warn."""
    failed = [gate for gate in gates if gate["passed"] is False]
    warned = sum(gate["advisory"] for gate in failed)
    counts = {"failed": len(failed) - warned, "warned": warned}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or (
        "passed" if gates else "-"
    )


def _three_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
