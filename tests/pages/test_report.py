"""The report of an evaluation, in a real browser."""

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from browsing import Page

from models.checks.baselines import BASELINES
from models.evaluation.curves import curves, distribution
from models.evaluation.labelled_rows import LabelledRows
from models.evaluation.metrics import confusion, metrics
from models.evaluation.resampling import measure, resample
from tasks.core.evaluation_result import (
    AlertLine,
    Counts,
    Evaluation,
    Figure,
    KindLine,
    NightLine,
    Ranking,
    Reason,
)
from tasks.evaluation.window_figures import recall_by_kind
from tasks.pages.charts import TEMPLATES, axis, figure, log_axis, score, steps, words
from tasks.pages.report import markdown, render, report, write_report
from tasks.pages.report_charts import STYLES
from tasks.pages.report_text import POPULATIONS, lead, warning, with_and_without
from tasks.warehouse.schema import product_version

FIRST, DAYS, ROWS = date(2018, 7, 25), 3, 3000
NASTY = """<script>alert("x")</script> & 'amount' > 3"""
SKILL = {
    "no_model": 0.8,
    "untrained_network": 0.1,
    "mahalanobis": 0.9,
    "pca_residual": 0.5,
    "isolation_forest": 0.6,
    "neighbours": 0.7,
    "local_outlier_factor": 0.3,
}
METRICS = metrics([100])
REASONS = (
    Reason(NASTY, "1", "2", 0.54, "usually 1"),
    Reason("amount", "824.50", "61.20", 0.4, "usually 1.5 to 180"),
)
COUNTS = Counts(
    rows=1000,
    flagged=30,
    alerts=28,
    labelled=1000,
    positives=25,
    flagged_labelled=30,
    frauds_flagged=15,
    frauds=25,
)
RANKING = ("auc_roc", "average_precision", "card_precision_at_100")


def ranking(rows, scores):
    own = measure(rows, METRICS, replicates=10)
    everyone = {"detector": rows} | {name: replace(rows, scores=other) for name, other in scores.items()}
    resampled = resample(everyone, {each: METRICS[each] for each in RANKING}, replicates=10)
    detector = resampled.pop("detector")
    baselines, differences = {}, {}
    for name, figures in resampled.items():
        baselines[name] = {metric: each.figure() for metric, each in figures.items()}
        differences[name] = {metric: (detector[metric] - each).figure() for metric, each in figures.items()}
    return Ranking(own, baselines, differences)


@pytest.fixture(scope="session")
def evaluation():
    random = np.random.default_rng(0)
    labels = random.random(ROWS) < 0.03
    noise = random.normal(size=ROWS)
    scores = np.exp(noise + 2 * labels)
    rows = LabelledRows(
        np.datetime64(FIRST) + np.arange(ROWS) % DAYS,
        random.integers(0, 300, ROWS),
        labels,
        scores,
        scores > 8,
    )
    others = {name: np.exp(noise + skill * labels) for name, skill in SKILL.items()}
    found = ranking(rows, others)
    return Evaluation(
        dataset="card-fraud",
        first_date=FIRST,
        last_date=FIRST + timedelta(days=DAYS - 1),
        as_of=date(2018, 8, 7),
        population="new",
        rows=ROWS,
        positives=int(labels.sum()),
        rows_left_out=17,
        model_versions=("dense-1",),
        thresholds=(8.0,),
        config_hashes=("2:0123abcd",),
        threshold_rule="fixed 8",
        nights=tuple(
            NightLine(
                FIRST + timedelta(days=n),
                n,
                "dense-1",
                8.0,
                f"run-{n}",
                {"all": Counts(1017, 40 + n, 35, 1017, 31, 40 + n, 20, 31), "new": COUNTS},
                f"../data_docs/night-{n}.html" if n else None,
                "../cards/dense-1.html",
            )
            for n in range(DAYS)
        ),
        ranking=found,
        figures={
            "all": {name: Figure(0.8765, 0.8111, 0.9222) for name in found.detector},
            "new": found.detector,
        },
        without_label_derived=Ranking(
            {name: Figure(0.4321) for name in found.detector},
            {name: {each: Figure(0.1234) for each in RANKING} for name in SKILL},
        ),
        confusion=confusion(rows),
        curves={"detector": curves(rows)}
        | {name: curves(replace(rows, scores=own)) for name, own in others.items()},
        distribution=distribution(scores, labels),
        alerts=(AlertLine(FIRST, NASTY, 1234.5, 0.0002, REASONS, 2000, True),),
        notes=(f"A note on {NASTY}.",),
    )


def without_labels(evaluation):
    return replace(
        evaluation,
        positives=None,
        ranking=None,
        figures={},
        without_label_derived=None,
        confusion=None,
        curves={},
        distribution=replace(evaluation.distribution, frauds=None),
        nights=tuple(
            replace(
                night,
                counts={
                    "all": replace(
                        COUNTS, labelled=0, positives=0, flagged_labelled=0, frauds_flagged=0, frauds=0
                    )
                },
            )
            for night in evaluation.nights
        ),
    )


@pytest.fixture(scope="session")
def page(evaluation, browse, tmp_path_factory):
    return browse(write_report(evaluation, tmp_path_factory.mktemp("reports")))


@pytest.mark.slow
def test_the_page_shows_every_figure_with_its_interval(page, evaluation):
    everyone = [evaluation.ranking.detector, *evaluation.ranking.baselines.values()]
    for one in (found for figures in everyone for found in figures.values()):
        assert figure(one.value) in page.text
        assert f"{figure(one.low)} to {figure(one.high)}" in page.text
    for rows in vars(evaluation.confusion).values():
        assert f"{rows:,.0f}" in page.text
    assert "0.432" in page.text
    assert "0.123" in page.text
    assert lead(evaluation) in page.text


@pytest.mark.slow
def test_the_page_draws_a_line_for_every_curve(page, evaluation):
    names = {"Detector", "Chance", *map(words, BASELINES)}
    drawn = [attrs for attrs in page.all("path") if attrs.get("data-series") in names]
    assert len(drawn) == 2 * len(names) == 2 * 9
    assert len({attrs["class"] for attrs in drawn}) == len(names)
    assert set(page.lines("area")) == {"Frauds", "Normal rows"}
    assert all(re.fullmatch(r"M-?[\d.]+ -?[\d.]+(L-?[\d.]+ -?[\d.]+)+", attrs["d"]) for attrs in drawn)
    assert "threshold 8" in page.text


@pytest.mark.slow
def test_the_page_loads_nothing(page):
    addresses = [
        value
        for _, attrs in page.tags
        for name, value in attrs.items()
        if name in ("src", "href", "srcset", "data", "action")
    ]
    card, docs = "../cards/dense-1.html", [f"../data_docs/night-{n}.html" for n in (1, 2)]
    assert addresses == [card, card, docs[0], card, docs[1], card]
    assert not {"script", "link", "iframe", "img", "object"} & {tag for tag, _ in page.tags}


def test_the_page_holds_no_url(evaluation):
    assert not re.search(r"https?:|//\w|url\(|@import", render(evaluation))


def test_the_report_has_a_table_of_facts(evaluation):
    text = Page(render(evaluation)).text.split("About this page")[1]
    generated = datetime.strptime(
        re.search(r"Generated at (.{19}) UTC", text)[1], "%Y-%m-%d %H:%M:%S"
    ).replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - generated) < timedelta(minutes=1)
    for fact in (
        f"Nightscore {product_version()}",
        "Runs run-0, run-1, run-2",
        "Configuration 2:0123abcd (the keys that decide the scores)",
        "Threshold rule fixed 8",
        "Labels known at the end of 2018-08-07",
        "Model cards dense-1",
    ):
        assert fact in text
    assert "not shown: the configuration has changed since" in render(
        replace(evaluation, threshold_rule=None)
    )


def test_a_model_card_links_to_the_reports_of_its_version_that_are_there(evaluation, tmp_path):
    card = tmp_path / "cards" / "dense-1.html"
    write_report(evaluation, tmp_path / "reports")
    assert not card.exists()
    card.parent.mkdir()
    card.write_text('<p>before</p><td id="reports">none yet</td><p>after</p>')
    early = write_report(evaluation, tmp_path / "reports")
    later = FIRST + timedelta(days=9)
    late = write_report(replace(evaluation, first_date=later, last_date=later), tmp_path / "reports")
    links = [f'<a href="../reports/{late.name}">2018-08-03</a>']
    early_link = f'<a href="../reports/{early.name}">2018-07-25 to 2018-07-27</a>'
    whole = '<p>before</p><td id="reports">{}</td><p>after</p>'
    assert card.read_text() == whole.format(", ".join([*links, early_link]))
    early.unlink()
    write_report(replace(evaluation, first_date=later, last_date=later), tmp_path / "reports")
    assert card.read_text() == whole.format(", ".join(links))
    assert (card.parent / Page(card.read_text()).all("a")[0]["href"]).resolve() == late


@pytest.mark.slow
def test_names_and_reasons_are_shown_as_text(page):
    assert not page.all("script")
    assert page.text.count("<script>alert(\"x\")</script> & 'amount' > 3") == 3


@pytest.mark.slow
def test_without_labels_the_page_shows_what_needs_no_labels(evaluation, browse, tmp_path):
    page = browse(write_report(without_labels(evaluation), tmp_path))
    assert "There are no labels for these dates" in page.text
    assert set(page.lines("area")) == {"All rows"}
    assert not page.lines("line")
    assert "amount 824.50 (usually 1.5 to 180; 0.40 of the score)" in page.text
    assert "Rows scored 3,000" in page.text
    assert not {"Recall", "Precision", "Label", "Frauds"} & set(page.words)
    assert len(page.all("a")) == 6


def test_the_json_beside_the_page_has_the_same_figures(evaluation, tmp_path):
    html = write_report(evaluation, tmp_path)
    beside = json.loads(html.with_suffix(".json").read_text())
    shown = html.read_text()
    assert beside == evaluation.to_json(report=html.name)
    for name in RANKING:
        assert beside[name] == evaluation.ranking.detector[name].value
        assert figure(beside[name]) in shown
        low, high = beside["intervals"][name]
        assert f"{figure(low)} to {figure(high)}" in shown
        assert all(figure(beside["baselines"][baseline][name]) in shown for baseline in SKILL)
    assert beside["without_label_derived"]["baselines"]["no_model"]["auc_roc"] == 0.1234
    assert beside["confusion"]["tp"] + beside["confusion"]["fn"] == beside["positives"]
    assert [night["date"] for night in beside["nights"]] == ["2018-07-25", "2018-07-26", "2018-07-27"]


def test_without_labels_the_json_has_nulls(evaluation, tmp_path):
    beside = json.loads(write_report(without_labels(evaluation), tmp_path).with_suffix(".json").read_text())
    assert [beside[name] for name in (*RANKING, "precision", "recall", "positives", "confusion")] == [
        None
    ] * 7
    assert beside["baselines"] == {}
    assert beside["rows"] == ROWS


def test_a_second_report_replaces_the_first(evaluation, tmp_path):
    first = write_report(evaluation, tmp_path)
    second = write_report(replace(evaluation, notes=("Again.",)), tmp_path)
    assert first == second
    assert "Again." in second.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report-2018-07-25_2018-07-27.html",
        "report-2018-07-25_2018-07-27.json",
    ]


@pytest.mark.parametrize(
    "part", ["ranking", "curves", "distribution", "confusion", "alerts", "notes", "nights", "thresholds"]
)
def test_the_page_renders_without_any_one_part(evaluation, part):
    empty = {"curves": {}, "alerts": (), "notes": (), "nights": (), "thresholds": ()}.get(part)
    assert "card-fraud" in render(replace(evaluation, **{part: empty}))


def test_figures_of_the_other_population_alone_are_shown(evaluation):
    """Where each labelled row is of an entity that was known to be compromised."""
    known = replace(evaluation, ranking=None, curves={}, figures={"all": evaluation.figures["all"]})
    assert known.population == "new"
    for shown in (markdown(known), render(known)):
        assert POPULATIONS["all"] in shown
    assert known.to_json()["populations"]["new"]["labelled"] == known.counts["new"].labelled


def test_without_a_fraud_figures_are_dashes(evaluation):
    unknown = Ranking(
        dict.fromkeys(METRICS, Figure(None)), {"no_model": dict.fromkeys(RANKING, Figure(None))}
    )
    counts = {"all": replace(COUNTS, positives=0, frauds_flagged=0, frauds=0)}
    nights = tuple(replace(night, counts=counts) for night in evaluation.nights)
    none = replace(
        evaluation,
        positives=0,
        nights=nights,
        ranking=unknown,
        figures={"all": unknown.detector},
        population="all",
        without_label_derived=None,
        curves={},
    )
    assert "not defined" in lead(none)
    assert "–" in render(none)
    assert none.to_json()["auc_roc"] is None


def test_a_warning_is_shown_if_a_baseline_equals_the_detector(evaluation):
    own = evaluation.ranking.detector
    difference = {
        "ahead": Figure(0.2, 0.1, 0.3),
        "alike": Figure(0.1, -0.1, 0.3),
        "worse": Figure(-0.2, -0.3, -0.1),
    }

    def beside(**kinds):
        differences = {name: {"auc_roc": difference[kind]} for name, kind in kinds.items()}
        return replace(evaluation, ranking=Ranking(own, dict.fromkeys(kinds, own), differences))

    assert warning(beside(no_model="ahead", mahalanobis="ahead")) is None
    value = figure(own["auc_roc"].value)
    equal = beside(no_model="alike", mahalanobis="ahead", pca_residual="worse")
    assert (
        f"AUC ROC {value} is below PCA residual ({value}) and not distinguishable from No model ({value})."
    ) in warning(equal)
    assert "Mahalanobis" not in warning(equal)
    assert warning(equal) in render(equal)
    assert warning(equal) in markdown(equal)


@pytest.mark.parametrize("shared", [True, False])
def test_the_recall_by_kind_says_which_order_of_a_shared_list_found_a_fraud(evaluation, shared):
    rows = pl.DataFrame(
        {
            "label": [True] * 5 + [False] * 2,
            "kind": ["leaked", "leaked", "leaked", "lost", None, None, None],
            "is_flagged": [True, True, False, True, False, True, True],
            "flagged_by": [
                "known pattern",
                "unknown pattern",
                None,
                "known pattern",
                None,
                None,
                "known pattern",
            ],
            "weight": [1.0, 2, 1, 1, 1, 1, 1],
        }
    )
    kinds = recall_by_kind(rows if shared else rows.with_columns(flagged_by=pl.lit(None, pl.String)))
    orders = [(1.0, 2.0), (1.0, 0.0), (0.0, 0.0)] if shared else [(None, None)] * 3
    assert kinds == (
        KindLine("leaked", 3, 4.0, 3.0, *orders[0]),
        KindLine("lost", 1, 1.0, 1.0, *orders[1]),
        KindLine(None, 1, 1.0, 0.0, *orders[2]),
    )
    text = Page(render(replace(evaluation, kinds=kinds))).text
    found = {
        True: "Known pattern Unknown pattern Recall leaked 4 3 1 2 0.750",
        False: "Recall leaked 4 3 0.750",
    }
    assert ["Known pattern" in text, found[shared] in " ".join(text.split())] == [shared, True]


def test_the_page_says_where_the_features_built_from_labels_help(evaluation):
    differences = {
        "auc_roc": Figure(0.2, 0.1, 0.3),
        "average_precision": Figure(0.1, -0.1, 0.3),
        "card_precision_at_100": Figure(-0.2, -0.3, -0.1),
        "f1": Figure(None),
    }
    own = evaluation.ranking.detector
    beside = replace(evaluation, ranking=Ranking(own, {}, {"without_label_derived": differences}))
    text = with_and_without(beside)
    assert text == (
        "AUC ROC is better with them; Average precision is not distinguishable; "
        "Card precision at 100 is better without them."
    )
    assert text in render(beside)
    assert with_and_without(evaluation) is None


def test_every_scorer_has_its_own_style():
    css = (TEMPLATES / "style.css").read_text()
    looks = [
        re.search(rf"\.line\.{style} {{ stroke: var\(--{style}\); stroke-dasharray: ([\d. ]+)", css)[1]
        for style in STYLES
    ]
    colours = re.findall(rf"--(?:main|{'|'.join(STYLES)}): (#\w+);", css)
    assert len(set(looks)) == len(STYLES) == len(BASELINES) == len(SKILL)
    assert all(len(set(colours[at : at + 7])) == 7 for at in (0, 7))  # light, dark
    assert all(f"fill: var(--{style})" in css for style in STYLES)


def test_the_markdown_has_the_figures_the_nights_and_the_path(evaluation, tmp_path):
    text = markdown(evaluation, tmp_path / "page.html")
    assert all(figure(evaluation.ranking.detector[name].value) in text for name in METRICS)
    assert all(f"| 2018-07-{day} |" in text for day in (25, 26, 27))
    assert f"The whole report is at `{tmp_path / 'page.html'}`." in text
    assert "file:" not in text
    assert "<script>" not in text.replace(r"\<script\>", "")


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_the_task_creates_one_artifact_with_the_figures_and_the_path(evaluation, tmp_path):
    from prefect import flow
    from prefect.artifacts import Artifact

    @flow
    def evaluating():
        return report(replace(evaluation, dataset="Card_Fraud"), tmp_path)

    page = evaluating()
    assert page.is_file()
    assert str(page) in Artifact.get("nightscore-report-card-fraud").data
    assert Artifact.get("nightscore-page-card-fraud") is None


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 0.031), (0.5, 1.0), (-3.0, 12345.0), (2.0, 2.0)])
def test_an_axis_has_a_few_round_ticks(low, high):
    made = axis("x", low, high)
    assert 3 <= len(made.ticks) <= 9
    assert all(0 <= made.share(position) <= 1 + 1e-9 for position, _ in made.ticks)
    assert len({text for _, text in made.ticks}) == len(made.ticks)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (-2.2, 1.5, ["0.01", "0.1", "1", "10"]),
        (3.0, 3.0, ["500", "1,000", "2,000"]),
        (0.0, 20.0, ["1", "1,000", "1,000,000"]),
    ],
)
def test_a_logarithmic_axis_has_powers_of_ten_and_more_of_them_where_it_is_short(low, high, texts):
    assert [text for _, text in log_axis("x", low, high).ticks][: len(texts)] == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00012, "0.00012"),
        (0.000012, "1e-5"),
        (1.23456, "1.23"),
        (0.9996, "1"),
        (123456.7, "123,457"),
        (2e9, "2e9"),
        (-3.14159, "-3.14"),
    ],
)
def test_scores_are_short(value, text):
    assert score(value) == text


def test_the_outline_of_a_histogram_starts_and_ends_on_the_axis():
    assert steps([0, 1, 2], [3, 5]) == ((0, 0), (0, 3), (1, 3), (1, 5), (2, 5), (2, 0))
