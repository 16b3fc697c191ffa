"""The report of an evaluation: one self-contained HTML page, the same figures as JSON, and Prefect
artifacts.
"""

import json
import logging
import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from tasks.core.atomic_files import write_atomically
from tasks.core.evaluation_result import Counts, Evaluation, Figure, KindLine
from tasks.core.populations import ALL
from tasks.core.step import step
from tasks.notifications.prefect_artifacts import show_report
from tasks.pages.charts import Chart, count, environment, figure, words
from tasks.pages.page_facts import Fact, Link, link_report, page_facts
from tasks.pages.reasons import p_value_text, reason_text
from tasks.pages.report_charts import between, curves, dots, scorers, spread
from tasks.pages.report_text import (
    POPULATIONS,
    kinds_of,
    lead,
    long_date,
    methods,
    span,
    standing,
    warning,
    with_and_without,
)
from tasks.pages.settings import ReportSettings

log = logging.getLogger(__name__)

DEFAULTS = ReportSettings()
FLAG_METRICS = ("precision", "recall", "f1")
UNKNOWN = Figure(None)
PATTERN_COLUMNS = ("Known pattern", "Unknown pattern")
COUNTED = ("Rows", "Alerts", "Flagged", "Labelled", "Caught", "Frauds")


@step
def report(evaluation: Evaluation, folder: Path, settings: ReportSettings = DEFAULTS) -> Path:
    """Writes the page and shows its figures in Prefect; see `write_report`."""
    page = write_report(evaluation, folder, settings)
    show_report(evaluation.dataset, span(evaluation), markdown(evaluation, page))
    return page


def write_report(evaluation: Evaluation, folder: Path, settings: ReportSettings = DEFAULTS) -> Path:
    """Writes `report-FIRST_LAST.html` and `.json` into the folder, replaces earlier ones of these dates, and
    returns the path of the page. The model cards of its versions get a link to it. Each file is replaced
    atomically.
    """
    page = folder / f"report-{evaluation.first_date}_{evaluation.last_date}.html"
    write_atomically(
        page.with_suffix(".json"),
        json.dumps(evaluation.to_json(report=page.name), indent=2, allow_nan=False) + "\n",
    )
    write_atomically(page, render(evaluation, settings))
    for card in {night.model_card for night in evaluation.nights if night.model_card}:
        link_report(folder / card, page)
    log.info("%s, %s: the report is at %s", evaluation.dataset, span(evaluation), page)
    return page


def render(evaluation: Evaluation, settings: ReportSettings = DEFAULTS) -> str:
    """Returns the page as HTML. It loads nothing; its only links go to Data Docs and model cards."""
    ranking = evaluation.ranking
    shown = [name for name in ranking.detector if name not in FLAG_METRICS] if ranking else []
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            e=evaluation,
            days=span(evaluation),
            as_of=long_date(evaluation.as_of),
            lead=lead(evaluation),
            warning=warning(evaluation),
            with_and_without=with_and_without(evaluation),
            ranking_names=shown,
            key_figures=[(name, dots(name, ranking)) for name in shown] if ranking else [],
            flag_figures=[name for name in FLAG_METRICS if ranking and name in ranking.detector],
            threshold=between(evaluation.thresholds),
            kinds_of=kinds_of(evaluation),
            kind_columns=kind_columns(evaluation),
            kind_cells=kind_cells,
            populations=POPULATIONS,
            standing=standing,
            counted=counted,
            counted_columns=COUNTED,
            quarantined=quarantined(evaluation),
            curves=curves(evaluation),
            spread=_spread(evaluation),
            scorers=list(scorers(ranking)) if ranking else [],
            pairs=_pairs(evaluation, shown),
            methods=methods(evaluation),
            about=_about(evaluation),
            reason_text=partial(reason_text, names=settings.names),
            p_value_text=p_value_text,
            **_shares(evaluation),
        )
    )


def _spread(evaluation: Evaluation) -> Chart | None:
    if evaluation.distribution is None:
        return None
    if evaluation.is_pooled:
        return spread(evaluation.distribution, (), label="-log10 of the p-value")
    return spread(evaluation.distribution, evaluation.thresholds)


def counted(counts: Counts) -> list[float | None]:
    """Returns the values of the COUNTED columns, from which a reader computes precision and recall."""
    known = (counts.flagged_labelled, counts.frauds_flagged, counts.frauds)
    return [counts.rows, counts.alerts, counts.flagged, *(known if counts.labelled else [None] * len(known))]


def kind_cells(line: KindLine) -> list[str]:
    """Returns the values of the kind_columns as text."""
    by_pattern = [] if line.frauds_known is None else [count(line.frauds_known), count(line.frauds_unknown)]
    return [
        line.kind or "not known",
        count(line.frauds),
        count(line.frauds_flagged),
        *by_pattern,
        figure(line.recall),
    ]


def kind_columns(evaluation: Evaluation) -> list[str]:
    """Returns the columns of the recall by kind: where a list is shared, with those of its two orders."""
    shared = any(line.frauds_known is not None for line in evaluation.kinds)
    return ["Kind", "Frauds", "Flagged", *(PATTERN_COLUMNS if shared else []), "Recall"]


def quarantined(evaluation: Evaluation) -> int:
    """Returns the quarantined rows of all nights."""
    return sum(night.quarantined for night in evaluation.nights)


def _about(evaluation: Evaluation) -> list[Fact]:
    cards = {night.model_version: night.model_card for night in evaluation.nights}
    return page_facts(
        ("Runs", [night.run_id for night in evaluation.nights]),
        ("Configuration", [f"{', '.join(evaluation.config_hashes)} (the keys that decide the scores)"]),
        ("Threshold rule", [evaluation.threshold_rule or "not shown: the configuration has changed since"]),
        ("Labels", [f"known at the end of {evaluation.as_of}"]),
        ("Model cards", [Link(name, card) if card else name for name, card in cards.items()]),
    )


def markdown(evaluation: Evaluation, page: Path | None = None) -> str:
    """Returns the key figures for the Prefect interface, with the path of the page.

    A browser opens no link from the interface to a local file, so the path is text.
    """
    parts = [f"# {evaluation.dataset}, {span(evaluation)}", lead(evaluation)]
    if caution := warning(evaluation):
        parts.append(f"**{caution}**")
    if ranking := evaluation.ranking:
        names = [name for name in ranking.detector if name not in FLAG_METRICS]
        rows = [
            [words(scorer), *(_cell(figures.get(name, UNKNOWN)) for name in names)]
            for scorer, figures in scorers(ranking)
        ]
        parts.append(_table(["Scored by", *map(words, names)], rows))
    if figures := evaluation.figures:
        names = list(next(iter(figures.values())))
        rows = [
            [POPULATIONS[population], *(_cell(found.get(name, UNKNOWN)) for name in names)]
            for population, found in figures.items()
        ]
        parts.append(_table(["Rows of", *map(words, names)], rows))
    if evaluation.kinds:
        parts.append(kinds_of(evaluation))
        parts.append(_table(kind_columns(evaluation), map(kind_cells, evaluation.kinds)))
    nights = [
        [night.date, *map(count, (night.quarantined, *counted(night.counts[ALL]))), night.model_version]
        for night in evaluation.nights
    ]
    sums = ["All nights", *map(count, (quarantined(evaluation), *counted(evaluation.counts[ALL]))), ""]
    parts.append(_table(["Date", "Quarantined", *COUNTED, "Version"], [*nights, sums]))
    parts.append("\n".join(f"- {_plain(note)}" for note in evaluation.notes))
    parts.append(f"The whole report is at `{page.resolve()}`." if page else "")
    return "\n\n".join(part for part in parts if part) + "\n"


def _pairs(evaluation: Evaluation, names: Sequence[str]) -> list[tuple[str, list[tuple[Figure, Figure]]]]:
    """Returns, for each scorer and metric, the figures with and without the label-derived features."""
    if evaluation.ranking is None or evaluation.without_label_derived is None:
        return []
    without = dict(scorers(evaluation.without_label_derived))
    return [
        (scorer, [(figures.get(name, UNKNOWN), without.get(scorer, {}).get(name, UNKNOWN)) for name in names])
        for scorer, figures in scorers(evaluation.ranking)
    ]


def _shares(evaluation: Evaluation) -> dict[str, str]:
    """Returns the true and false positive rates for the cells of the confusion matrix, in words."""
    matrix = evaluation.confusion
    found = matrix.tp / (matrix.tp + matrix.fn) if matrix and matrix.tp + matrix.fn else None
    false = matrix.fp / (matrix.fp + matrix.tn) if matrix and matrix.fp + matrix.tn else None
    return {
        "share_found": f"{figure(found)} of the frauds",
        "share_false": f"{figure(false)} of the normal rows",
    }


def _cell(found: Figure) -> str:
    interval = (
        f" ({figure(found.low)} to {figure(found.high)})"
        if found.low is not None and found.high is not None
        else ""
    )
    return figure(found.value) + interval


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(_plain(str(cell)) for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """Escapes text so that Markdown shows it unchanged."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)
