"""The registry as a table on standard output, narrow enough for a terminal of 160 columns."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from flows.console import data_table, say
from tasks.registry.listing import ChampionPeriod, LatestFigures, ListedVersion

CARDS = "card_precision_at_"


def version_tables(listed: Sequence[ListedVersion]) -> None:
    """One line per version, then who promoted the champion of the newest nights, and why others are not in
    service.
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
            _service(version),
            _period(version.first_date, version.last_date),
            f"{version.rows:,}",
            f"{version.architecture},{chr(10) if len(version.score) > 10 else ' '}{version.score}",
            *_best_figures(version.judged),
            version.training.get("validation_loss"),
            _gates(version.gates),
            version.device,
        )
        for version in listed
    ]
    data_table(columns, lines)
    for version in listed:
        for reign in version.champion:
            if reign.effective_until is None:
                say(
                    f"Champion: {version.version} from {reign.effective_from} on; by "
                    f"{reign.promoted_by}: {reign.why}."
                )
        if version.withheld:
            say(f"Withheld: {version.version}: {version.withheld}")
        if version.decision and not version.decision.promoted:
            verdict = "may be promoted by hand" if version.decision.fit else "was not promoted"
            say(f"Decided: {version.version} {verdict}: {version.decision.why}")


def _service(version: ListedVersion) -> str:
    """The newest two periods as champion, and what it is instead."""
    reigns = [_reign(reign) for reign in version.champion]
    shown = [f"{len(reigns) - 2} earlier"] * (len(reigns) > 2) + reigns[-2:]
    shown += ["withheld"] * bool(version.withheld)
    if not shown:
        shown = [("fit" if version.decision.fit else "not fit") if version.decision else "challenger"]
    return "\n".join(shown + ([f"pruned {version.pruned_at:%Y-%m-%d}"] if version.pruned_at else []))


def _reign(reign: ChampionPeriod) -> str:
    last = reign.effective_until
    return _period(reign.effective_from, last - timedelta(days=1)) if last else f"{reign.effective_from}.."


def _period(first: date, last: date) -> str:
    """Both dates; the year of the last one only where it is another."""
    return f"{first}..{last:%m-%d}" if first.year == last.year else f"{first}..{last}"


def _best_figures(judged: LatestFigures | None) -> tuple[str, str]:
    """Average precision, and card precision of the smallest budget that was judged."""
    if judged is None:
        return "-", "-"
    cards = sorted(
        (name for name in judged.metrics if name.startswith(CARDS)),
        key=lambda name: int(name.removeprefix(CARDS)),
    )
    found = [judged.metrics.get(name, {}).get("value") for name in ("average_precision", *cards[:1])]
    average, card = (*found, None)[:2]
    return _three_digits(average), _three_digits(card)


def _gates(gates: Sequence[dict[str, Any]]) -> str:
    """`passed`, or how many failed and how many only warn."""
    failed = [gate for gate in gates if gate["passed"] is False]
    warned = sum(gate["advisory"] for gate in failed)
    counts = {"failed": len(failed) - warned, "warned": warned}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or (
        "passed" if gates else "-"
    )


def _three_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
