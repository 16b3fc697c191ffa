"""Prints results as tables on standard output."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flows.console import say
from flows.data_table import data_table

if TYPE_CHECKING:  # some take seconds to import; the callers have imported what they pass
    from tasks.core.evaluation_result import Evaluation, Figure, Ranking
    from tasks.evaluation.explain import ExplainedRow
    from tasks.evaluation.replay import Replay
    from tasks.operations.forget import Forgetting
    from tasks.operations.installation import Check
    from tasks.operations.prune import Pruning
    from tasks.operations.source_look import SourceLook

SHOWN = 20


def evaluation_tables(evaluation: "Evaluation") -> None:
    """Prints a table of the nights, and one of the window's figures beside the baselines."""
    say(
        f"{evaluation.dataset}, {evaluation.first_date}..{evaluation.last_date}, "
        f"evaluated with the labels known at the end of {evaluation.as_of}\n"
    )
    from tasks.core.populations import ALL
    from tasks.pages.report import COUNTED, counted, kind_cells, kind_columns, quarantined
    from tasks.pages.report_text import kinds_of, lead, warning, with_and_without

    say(lead(evaluation) + "\n")
    if caution := warning(evaluation):
        say(caution + "\n")
    columns = ["night", "quarantined", *map(str.lower, COUNTED), "version"]
    lines = [
        (night.date, night.quarantined, *counted(night.counts[ALL]), night.model_version)
        for night in evaluation.nights
    ]
    if len(lines) > 1:
        lines.append(("all", quarantined(evaluation), *counted(evaluation.counts[ALL]), ""))
    data_table(columns, lines, "Nights")
    if evaluation.figures:
        _population_table(evaluation)
    if evaluation.ranking:
        left_out = (
            f", {evaluation.rows_left_out:,} rows of known compromised entities left out"
            if evaluation.rows_left_out
            else ""
        )
        say(f"\nEvaluated: {evaluation.rows:,} rows, {evaluation.positives:,} frauds{left_out}.")
        _ranking_table(evaluation.ranking, "Nightscore and its baselines on these rows (95% intervals)")
    if evaluation.kinds:
        say("\n" + kinds_of(evaluation))
        columns = [*map(str.lower, kind_columns(evaluation))]
        data_table(columns, list(map(kind_cells, evaluation.kinds)), "Recall by kind")
    if evaluation.without_label_derived:
        _ranking_table(evaluation.without_label_derived, "The same without the label-derived features")
        if differences := with_and_without(evaluation):
            say(differences)
    for note in evaluation.notes:
        say(note)


def explanation_table(row: "ExplainedRow", names: Mapping[str, str]) -> None:
    """Prints the score of a row, and one line per feature, by its display name."""
    from tasks.pages.reasons import p_value_text

    p_value = p_value_text(row.p_value, row.held_out)
    decision = "flagged" if row.is_flagged else "not flagged"
    say(
        f"{row.date}, row {row.id}: score {row.score:.4g}, p-value {p_value}, rank "
        f"{row.rank:,}; {decision} "
        f"(threshold {row.threshold:.4g}) by {row.model_version}"
    )
    lines = [
        (
            names.get(each.feature, each.feature),
            "speaks against" if each.contribution < 0 else round(each.share, 3),
            each.observed,
            each.usual,
            each.expected,
        )
        for each in row.shares
    ]
    data_table(["feature", "share of the score", "observed", "usual", "reconstructed"], lines)


def health_line(check: "Check") -> None:
    """Prints the result of a check and what it found, and on a second line what to do, if anything."""
    state = {True: "ok", False: "failed", None: "note"}[check.ok]
    say(f"{state:<6}  {check.name:<12}  {check.found}")
    if check.fix:
        say(f"{'':<22}What to do: {check.fix}")


def guesses_table(look: "SourceLook") -> None:
    """Prints which dates of a source were looked at, and a line for each column: what it is taken for."""
    say(f"Looked at {len(look.read)} of {len(look.dates)} dates: {', '.join(map(str, look.read))}.")
    for sentence in look.ignored:
        say(f"Note: {sentence}.")
    lines = [
        (
            guess.column,
            guess.role,
            f"{guess.why}{_warning(look, guess.column)}",
            guess.sure,
            list(guess.alternatives),
        )
        for guess in look.guesses
    ]
    data_table(["column", "role", "why", "how sure", "alternatives"], lines)


def _warning(look: "SourceLook", column: str) -> str:
    return f"; warning: {look.warnings[column]}" if column in look.warnings else ""


def webhooks_table(lines: "Sequence[dict[str, Any]]") -> None:
    """Prints one line per webhook, with its answer if a test event was sent."""
    if not lines:
        say(
            "No webhook is configured, so nobody is notified when a night fails; add [notify] to the "
            "configuration."
        )
        return
    data_table(
        list(lines[0]),
        [[", ".join(v) if isinstance(v, list) else v for v in line.values()] for line in lines],
    )


def replay_tables(replayed: "Replay") -> None:
    """Prints the stored result beside the computed one, the rows that only one of them flagged, and why."""
    from tasks.evaluation.replay_text import moment

    known = (
        "no label was recorded"
        if replayed.known_frauds is None
        else f"{replayed.known_frauds:,} frauds were known"
    )
    say(f"{replayed.date} as of {moment(replayed.as_of)}: {known} by then\n")
    sides = {"stored": replayed.stored, "computed": replayed.computed}
    lines = [
        (name, s.run_id, s.version, s.rule, s.threshold, s.rows, s.flagged, s.frauds)
        for name, s in sides.items()
    ]
    data_table(["", "run", "version", "rule", "threshold", "rows", "flagged", "known frauds"], lines)
    for name, side in sides.items():
        if side.missing:
            say(f"Not {name}: {side.missing}")
    if replayed.differences:
        shown = replayed.differences[:SHOWN]
        title = f"{len(replayed.differences):,} rows that only one of them flagged" + (
            f", the {SHOWN} with the highest scores" * (len(shown) == SHOWN)
        )
        columns = ["id", "entity", "stored", "computed", "stored score", "computed score"]
        data_table(
            columns,
            [
                (
                    d.id,
                    d.entity,
                    *map(_flag, (d.stored_flag, d.computed_flag)),
                    d.stored_score,
                    d.computed_score,
                )
                for d in shown
            ],
            title,
        )
    elif not (replayed.stored.missing or replayed.computed.missing):
        say("Both flagged the same rows.")
    for reason in replayed.why:
        say(f"Why: {reason}")


def pruning_table(pruned: "Pruning") -> None:
    """Prints one line per kind of what was dropped, or would be."""
    if not pruned.dropped:
        say(f"There is nothing from before {pruned.older_than} to drop.")
    else:
        done = "was dropped:" if pruned.done else "would be dropped; nothing was changed: add --yes"
        say(f"What became old before {pruned.older_than} {done}")
        lines = [
            (d.kind, d.count, _thousands(d.rows), _thousands(d.bytes), d.oldest, d.newest)
            for d in pruned.dropped
        ]
        data_table(["what", "count", "rows", "bytes", "oldest", "newest"], lines)
    for reason in pruned.left:
        say(f"Not dropped: {reason}")


def forgetting_table(forgotten: "Forgetting") -> None:
    """Prints where an entity was removed, or would be, and what still leads to it."""
    days = forgotten.dates
    where = f"{days[0]}..{days[-1]} ({len(days):,} with rows)"
    done = f"now stand under {forgotten.pseudonym}:" if forgotten.done else "would be forgotten"
    hint = "" if forgotten.done else "; nothing was changed: add --yes"
    say(f"Rows of the entity on {where} {done}{hint}")
    data_table(["place", "count"], [(each.place, _thousands(each.count)) for each in forgotten.removed])
    for place in forgotten.unreached:
        say(f"Not reached: {place}.")


def _thousands(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _flag(flag: bool | None) -> str:
    return {True: "flagged", False: "not flagged", None: "no such row"}[flag]


def _population_table(evaluation: "Evaluation") -> None:
    from models.evaluation.metrics import title
    from tasks.pages.report_text import POPULATIONS

    names = list(next(iter(evaluation.figures.values())))
    lines = [
        (POPULATIONS[population].lower(), *(_figure(figures[name]) for name in names))
        for population, figures in evaluation.figures.items()
    ]
    data_table(["entities", *map(title, names)], lines, "\nNightscore by population (95% intervals)")


def _ranking_table(ranking: "Ranking", heading: str) -> None:
    from models.checks.baselines import TITLES
    from models.evaluation.metrics import title

    shown = [name for name in ranking.detector if name not in ("precision", "recall", "f1")]
    lines: list[tuple[str, ...]] = [("Nightscore", *(_figure(ranking.detector[name]) for name in shown))]
    lines += [
        (TITLES.get(name, title(name)), *(_figure(figures[name]) for name in shown))
        for name, figures in ranking.baselines.items()
    ]
    data_table(["", *map(title, shown)], lines, heading)


def _figure(figure: "Figure") -> str:
    if figure.value is None:
        return "-"
    interval = f" ({figure.low:.3f}-{figure.high:.3f})" if figure.low is not None else ""
    return f"{figure.value:.3f}{interval}"
