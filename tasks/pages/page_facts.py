"""The table of facts that ends a page, and the links from a model card to the reports of its version."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks.core.atomic_files import write_atomically
from tasks.warehouse.schema import product_version

REPORT = re.compile(r"report-(\d{4}-\d\d-\d\d)_(\d{4}-\d\d-\d\d)\.html")
REPORTS_CELL = re.compile(r'(<td id="reports">)(.*?)(</td>)', re.DOTALL)
SHOWN_REPORTS = 20


@dataclass(frozen=True)
class Link:
    """A link to another page. address: relative to the folder of the page that has the link."""

    text: str
    address: str


Fact = tuple[str, Sequence[str | Link]]


def page_facts(*facts: Fact) -> list[Fact]:
    """Returns when the page was generated and by which release of Nightscore, and then these facts."""
    return [
        ("Generated at", [f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"]),
        ("Nightscore", [product_version()]),
        *facts,
    ]


def link_report(card: Path, page: Path) -> None:
    """Adds a link to a report to a model card, which keeps the links to the SHOWN_REPORTS newest reports that
    are still there. A card that does not exist, or was written without a place for links, stays as it is.
    """
    if not card.is_file():
        return
    html = card.read_text(encoding="utf-8")
    if cell := REPORTS_CELL.search(html):
        names = {page.name, *(found[0] for found in REPORT.finditer(cell[2]))}
        present = sorted((name for name in names if (page.parent / name).is_file()), reverse=True)
        links = ", ".join(_report_link(name, page.parent.name) for name in present[:SHOWN_REPORTS])
        write_atomically(card, html[: cell.start(2)] + links + html[cell.end(2) :])


def _report_link(name: str, folder: str) -> str:
    first, last = REPORT.fullmatch(name).groups()  # type: ignore[union-attr]
    days = first if first == last else f"{first} to {last}"
    return f'<a href="../{folder}/{name}">{days}</a>'
