"""The model card: what it shows of each kind of detector, and what it hides."""

import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browsing import Page
from detectors import NASTY, images, tabular, variational

from models.checks.gates import Gate
from models.detector import score_kinds
from models.detector.detector import Detector
from models.device import tf
from models.inspection.summary import inspect
from tasks.core.references import DateLeftOut, LeftOut, Version
from tasks.pages.charts import score
from tasks.pages.model_card import CardFacts, render_card, write_card
from tasks.pages.model_card_charts import LEVELS
from tasks.pages.model_card_text import SCORES, lead
from tasks.pages.page_facts import link_report
from tasks.warehouse.schema import product_version

VERSION = Version(
    name="2026-01-20-77aa11bb",
    as_of=date(2026, 1, 20),
    first_date=date(2026, 1, 7),
    last_date=date(2026, 1, 12),
    path=Path("versions"),
    sha256="7a" * 32,
    card=Path("card.html"),
)
GATES = (
    Gate("Loss", True, "The validation loss fell from 1.02 to 0.19."),
    Gate(NASTY, False, f"{NASTY} is below 0.24."),
    Gate("Contamination", None, "3 of 200 rows are extreme."),
)
LEFT_OUT = LeftOut(rows=2_040, dates=6, known_frauds=40, unconfirmed=11)
DATES = tuple(date(2026, 1, day) for day in (7, 8, 10, 11, 12))
GAPS = (DateLeftOut(date(2026, 1, 9), "no partition"),)
FACTS = CardFacts(
    "card-fraud", 2_000, LEFT_OUT, DATES, GAPS, "train_quantile 0.99", "2:0123abcd", 12.5, GATES
)
ALL = {
    tabular: FACTS,
    variational: replace(FACTS, left_out=LeftOut(2_000, 6, known_frauds=0, unconfirmed=0)),
    images: replace(FACTS, threshold=None, rule="batch_quantile 0.95"),
}
VOID = {"meta", "img", "br"}

slow = pytest.mark.slow
every_kind = pytest.mark.parametrize("make", ALL)


class WellFormed(HTMLParser):
    """Checks that every tag is closed in the right order, or needs no closing."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open += [tag] if tag not in VOID else []

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@cache
def card(make: Callable[[], Detector], **changes: object) -> Page:
    return Page(render_card(VERSION, make(), replace(ALL[make], **changes)))


def clouds(page: Page) -> list[dict[str, str]]:
    return [attrs for attrs in page.all("path") if attrs.get("class", "").startswith("cloud")]


@slow
@every_kind
def test_the_page_is_well_formed_small_and_self_contained(
    make: Callable[[], Detector],
) -> None:
    html = render_card(VERSION, make(), ALL[make])
    WellFormed(html)
    assert len(html) < 1_000_000
    assert not re.search(
        r"https?:|//\w|url\(|@import|href|srcset", re.sub(r"data:image/png;base64,[\w+/=]*", "", html)
    )
    assert all(attrs["src"].startswith("data:") for attrs in Page(html).all("img"))
    policy = next(attrs["content"] for attrs in Page(html).all("meta") if "http-equiv" in attrs)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'" + (
        "; img-src data:" if make is images else ""
    )


@slow
@every_kind
def test_the_page_shows_every_gate_with_its_result(make: Callable[[], Detector]) -> None:
    page = card(make)
    for gate, result in zip(GATES, ("passed", "failed", "reported"), strict=True):
        assert f"{gate.name} {result} {gate.finding}" in page.text


@slow
@every_kind
def test_every_row_that_is_shown_is_a_point_of_each_scatter(make: Callable[[], Detector]) -> None:
    latent, found = inspect(make()).latent, clouds(card(make))
    by_kind = {
        name: sum(path["d"].count("h0") for path in found if re.match(name, path["class"]))
        for name in (r"cloud e\d", r"cloud [ms]")
    }
    assert by_kind == {
        r"cloud e\d": len(latent.fraud),
        r"cloud [ms]": len(latent.fraud) if latent.fraud.any() else 0,
    }


@slow
@every_kind
def test_every_chart_has_a_description(make: Callable[[], Detector]) -> None:
    page = card(make)
    assert all(
        svg.get("role") == "img" and svg["aria-label"] if svg.get("aria-hidden") != "true" else True
        for svg in page.all("svg")
    )
    assert len([svg for svg in page.all("svg") if svg.get("role") == "img"]) == (
        3 if make is variational else 4
    )
    assert all(picture["alt"] for picture in page.all("img"))


@slow
@every_kind
def test_the_page_describes_the_version_and_its_training_window(make: Callable[[], Detector]) -> None:
    page, detector = card(make), make()
    for words in (
        VERSION.name,
        VERSION.sha256,
        "card-fraud",
        "7 January 2026 to 12 January 2026",
        "20 January 2026",
        detector.device,
    ):
        assert words in page.text
    assert "-".join(map(str, detector.settings.hidden)) in page.text
    assert "Everything on it is measured on the training window" in page.text
    assert "Kept out of service" not in page.text


@slow
def test_features_are_shown_with_their_encoding_and_their_losses() -> None:
    page = card(tabular)
    assert "Missing indicator 1: d" in page.text
    assert f"Categories 1: {NASTY} (3 codes)" in page.text
    for feature in inspect(tabular()).features:
        assert score(feature.normal) in page.text
        assert score(feature.fraud or 0) in page.text
    assert len(page.all("rect")) == LEVELS + 2 * len(inspect(tabular()).features)


@slow
def test_names_are_shown_as_text() -> None:
    page = Page(
        render_card(replace(VERSION, withheld=NASTY), tabular(), replace(FACTS, dataset=NASTY, rule=NASTY))
    )
    assert f"Kept out of service. {NASTY}" in page.text
    assert not page.all("script")
    assert page.text.count(NASTY) >= 6


@slow
def test_a_fixed_threshold_is_drawn() -> None:
    calibration = tabular().calibration
    middle = float(np.median(calibration.held_out))
    page = card(tabular, threshold=middle)
    assert f"threshold {score(middle)}" in page.text
    assert "0.50 of the 200 held-out rows and 1.00 of the 40 known frauds reach the threshold" in page.text
    none = card(tabular, threshold=None, gates=())
    assert "Checks" not in none.text
    assert "Threshold set each night" in none.text
    assert not [path for path in none.all("path") if path.get("class") == "mark"]


@slow
def test_without_known_frauds_the_page_does_not_mention_them() -> None:
    page = card(variational)
    assert {cloud["class"] for cloud in clouds(page)} == {f"cloud e{level}" for level in range(LEVELS)}
    assert "Frauds" not in page.words
    assert "Known frauds" not in page.words
    assert set(page.lines("area")) == {"Held-out normal rows"}


@slow
def test_two_networks_have_two_pairs_of_lines() -> None:
    page = card(variational)
    assert [
        len(
            [
                path
                for path in page.all("path")
                if path.get("class") == f"line {style}" and "data-series" in path
            ]
        )
        for style in ("main", "second")
    ] == [2, 2]
    assert "Validation 2 networks" in page.text


@slow
def test_images_are_shown_beside_their_reconstruction() -> None:
    page, pixels = card(images), inspect(images()).pixels
    pictures = [
        tf.io.decode_png(b64decode(attrs["src"].removeprefix("data:image/png;base64,"))).numpy()
        for attrs in page.all("img")
    ]
    assert len(pictures) == 2 + 3 * len(pixels.worst)
    for k, one in enumerate(pixels.worst):
        observed, expected, loss = pictures[2 + 3 * k : 5 + 3 * k]
        assert (observed == one.observed).all()
        assert (expected == one.expected).all()
        assert (loss[..., 3] == one.loss).all()
    assert "Worst reconstructed features" not in page.text


@slow
def test_images_of_a_private_column_are_not_on_the_page() -> None:
    html = render_card(VERSION, images(), replace(ALL[images], private=("photo",)))
    assert not Page(html).all("img")
    assert "data:" not in html
    assert "The image column is private" in html
    assert Page(render_card(VERSION, images(), replace(ALL[images], private=("phot",)))).all("img")


@slow
def test_the_card_of_a_detector_trained_on_all_rows_does_not_mention_normal_rows() -> None:
    detector = replace(tabular(), training=tabular().training.model_copy(update={"rows": "all"}))
    page = Page(render_card(VERSION, detector, FACTS))
    assert "normal rows" not in page.text
    assert "some of them were used to train the networks" in page.text


@slow
def test_the_card_has_a_table_of_facts(tmp_path: Path) -> None:
    version = replace(VERSION, card=tmp_path / "cards" / "card.html")
    write_card(version, variational(), ALL[variational])
    text = Page(version.card.read_text()).text.split("About this page")[1]
    assert re.fullmatch(
        rf" Generated at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC Nightscore {re.escape(product_version())} "
        r"Version 2026-01-20-77aa11bb "
        r"Configuration 2:0123abcd \(the keys that decide what a version learns\) "
        r"Threshold rule train_quantile 0.99 Reports none yet",
        text,
    )
    page = tmp_path / "reports" / "report-2026-01-21_2026-01-21.html"
    page.parent.mkdir()
    page.touch()
    link_report(version.card, page)
    WellFormed(version.card.read_text())
    (link,) = Page(version.card.read_text()).all("a")
    assert (version.card.parent / link["href"]).resolve() == page


@slow
def test_a_second_card_replaces_the_first(tmp_path: Path) -> None:
    version = replace(VERSION, card=tmp_path / "cards" / "card.html")
    write_card(version, variational(), ALL[variational])
    write_card(replace(version, withheld="Too few rows."), variational(), ALL[variational])
    assert "Too few rows." in version.card.read_text()
    assert list((tmp_path / "cards").iterdir()) == [version.card]


@slow
def test_a_browser_shows_the_page_as_it_was_written(browse: Callable[[Path], Page], tmp_path: Path) -> None:
    version = replace(VERSION, card=tmp_path / "card.html")
    write_card(version, images(), ALL[images])
    page, written = browse(version.card), Page(version.card.read_text())
    assert page.text == written.text
    assert [attrs["src"] for attrs in page.all("img")] == [attrs["src"] for attrs in written.all("img")]
    assert [cloud["d"] for cloud in clouds(page)] == [cloud["d"] for cloud in clouds(written)]


@slow
def test_the_card_names_the_dates_that_were_learnt_from_and_the_gaps_of_the_window() -> None:
    learnt = tabular()
    html = render_card(VERSION, learnt, FACTS)
    assert "5 dates, 7 January 2026 to 12 January 2026" in html
    assert "<dd>2026-01-07, 2026-01-08, 2026-01-10, 2026-01-11, 2026-01-12</dd>" in html
    assert "has gaps: 1 of its 6 dates were not learnt from: 2026-01-09 (no partition)." in html
    assert "has gaps" not in render_card(VERSION, learnt, replace(FACTS, gaps=()))
    assert "come from flags alone" not in html
    answered = render_card(VERSION, learnt, replace(FACTS, labels=2_000, selected=7))
    assert "7 of the 2,000 labels of the window come from flags alone" in answered


def test_the_card_explains_every_score() -> None:
    assert set(SCORES) == {*score_kinds.SCORES, score_kinds.COMBINED}
    learnt = tabular()
    named = {
        lead(VERSION, replace(learnt, settings=learnt.settings.model_copy(update={"score": kind})), FACTS)
        for kind in SCORES
    }
    assert len(named) == len(SCORES)
