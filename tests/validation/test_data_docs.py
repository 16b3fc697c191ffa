"""The night's Data Docs: self-contained, readable, and without private values."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import date, datetime
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionRejected
from tasks.source.ingest import read_partition
from tasks.validation.data_docs import STYLE
from tasks.validation.validate import validate_partition

DAY = date(2018, 7, 25)
HOSTILE = '<img src="http://evil.example/x.png"><script>fetch("http://evil.example/y")</script>'
ODD_NAME = 'amount <b>$x</b> & "co"'


class Page(HTMLParser):
    """What a browser would fetch or run, and the text that it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "action", "srcset")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.text += f"{data} "


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a day of 10 rows with a value that is HTML, an oddly named column, and a private one."""
    folder = tmp_path_factory.mktemp("docs")
    frame = pl.DataFrame(
        {
            "id": [*range(8), 3, 3],
            "at": [datetime(2018, 7, 25, 9)] * 9 + [datetime(2018, 7, 26)],
            "iban": [f"DE89-{number}" for number in range(10)],
            ODD_NAME: [1.0, 2.0, float("nan"), float("inf"), *[5.0] * 6],
            "channel": ["web"] * 9 + [HOSTILE],
        }
    )
    frame.write_parquet(folder / f"{DAY}.parquet")
    columns = {
        ODD_NAME: {"nullable": False, "max": 1000},
        "channel": {"allowed": ["web", "<i>pos</i>"]},
        "iban": {"allowed": ["DE89-0", "DE89-1"]},
    }
    dataset = Dataset.model_validate(
        {
            "name": "cards",
            "source": {"path": f"{folder}/{{date}}.parquet"},
            "columns": {"id": "id", "time": "at", "private": ["iban"]},
            "features": {"numeric": [ODD_NAME], "categorical": ["channel"]},
            "quality": {"max_bad_share": 1, "columns": columns},
        }
    )
    return validate_partition(dataset, read_partition(dataset, DAY), folder).data_docs


@pytest.fixture(scope="module")
def parsed(page: Path) -> Page:
    parser = Page()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def test_the_page_fetches_nothing_and_runs_nothing(page: Path, parsed: Page) -> None:
    assert parsed.links == []
    assert {"script", "link", "img", "iframe", "object"}.isdisjoint(parsed.tags)
    assert "Content-Security-Policy\" content=\"default-src 'none'" in page.read_text()
    assert "url(" not in page.read_text()
    assert "@import" not in page.read_text()


def test_the_box_only_what_failed_hides_what_passed(page: Path) -> None:
    assert 'type="checkbox" id="failed-only"' in page.read_text()
    assert re.search(
        r"\nbody:has\(#failed-only:checked\) :is\(tr:has\(i\.text-success\),\s+"
        r"\.ge-section:not\(:first-child\):not\(:has\(i\.text-danger\)\)\) \{ display: none \}\n</style>",
        page.read_text(),
    )


def test_values_and_names_are_shown_as_text(parsed: Page) -> None:
    assert HOSTILE in parsed.text
    assert ODD_NAME in parsed.text
    assert "is one of web, <i>pos</i> [allowed]" in parsed.text
    assert {"b", "script"}.isdisjoint(parsed.tags)


@pytest.mark.parametrize(
    "words",
    [
        "Data quality of cards, 2018-07-25",
        "accepted, 8 of 10 rows quarantined",
        "15 rules, 7 broken",
        "rules were counted over all 10 rows: nothing breaks them",
        "is unique: of the rows of an id, ordered by their content, the first stays",
        "2 unexpected values found. 20% of 10 total rows.",
        "1 unexpected values found. 10% of 10 total rows.",
        "lies on 2018-07-25 in UTC (values: days after it) [date_in_partition]",
        "is never null (NaN counts as null) [not_null]",
        "is an integer, float, decimal or boolean [number_type]",
        "is at most 1,000 [range]",
        "There are at least 1 rows [min_rows]",
        "is one of 2 allowed values [allowed]",
        "***",
    ],
)
def test_the_page_shows_what_was_checked_and_found(parsed: Page, words: str) -> None:
    assert words in " ".join(parsed.text.split())


def write_day(folder: Path, amounts: list[float | None], **columns: object) -> Dataset:
    """A day with the ids "0", "1", ..., and an amount that must be at least 0."""
    frame = pl.DataFrame({"id": [str(n) for n in range(len(amounts))], "amount": amounts})
    frame.write_parquet(folder / f"{DAY}.parquet")
    return Dataset.model_validate(
        {
            "name": "cards",
            "source": {"path": f"{folder}/{{date}}.parquet"},
            "columns": {"id": "id", **columns},
            "features": {"numeric": ["amount"]},
            "quality": {"max_bad_share": 0.5, "columns": {"amount": {"min": 0}}},
        }
    )


def read_text(page: Path) -> str:
    parser = Page()
    parser.feed(page.read_text(encoding="utf-8"))
    return " ".join(parser.text.split())


def test_the_page_shows_the_first_ids_of_each_rule(tmp_path: Path) -> None:
    dataset = write_day(tmp_path, [-1.0] * 23 + [1.0] * 977)
    text = read_text(validate_partition(dataset, read_partition(dataset, DAY), tmp_path).data_docs)
    assert "accepted, 23 of 1,000 rows quarantined" in text
    shown = sorted(map(str, range(23)))[:20]
    assert f"Quarantined rows Column Rule Rows Ids amount range 23 {', '.join(shown)} and 3 more" in text
    assert "Status: Succeeded" in text


def test_private_ids_are_masked(tmp_path: Path) -> None:
    dataset = write_day(tmp_path, [-1.0, 1.0, 1.0], private=["id"])
    text = read_text(validate_partition(dataset, read_partition(dataset, DAY), tmp_path).data_docs)
    assert "Ids amount range 1 ***" in text


def test_copies_of_an_id_are_shown_with_their_number(parsed: Page) -> None:
    assert "id unique_id 2 3 (copy 1), 3 (copy 2)" in " ".join(parsed.text.split())


def test_the_page_of_a_rejected_night_shows_the_first_reason(tmp_path: Path) -> None:
    dataset = write_day(tmp_path, [-1.0, -1.0, 1.0])
    with pytest.raises(PartitionRejected) as refused:
        validate_partition(dataset, read_partition(dataset, DAY), tmp_path, tmp_path / "page.html")
    text = read_text(tmp_path / "page.html")
    assert f"rejected: {str(refused.value).removeprefix(f'{DAY}: ')}" in text
    assert "Rows that break a rule Column Rule Rows Ids amount range 2 0, 1" in text
    assert "Status: Failed" in text


def luminance(colour: str) -> float:
    """The relative luminance of a colour such as #1a7f37 (WCAG 2.1)."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_icons_have_enough_contrast(mode: str) -> None:
    modes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})\b", block))
        for block in re.findall(r":root {(.*?)}", STYLE, re.S)
    ]
    assert len(modes) == 2
    colours, rules = modes[mode == "dark"], STYLE[STYLE.index("\nbody {") :]
    used = {
        kind: set(re.findall(rf"(?<![-\w]){kind}: ([^ ;]+)", rules)) - {"inherit"}
        for kind in ("color", "background")
    }
    assert used == {
        "color": {"var(--ink)", "var(--good)", "var(--bad)"},
        "background": {"var(--page)", "var(--soft)"},
    }
    for text in ("ink", "good", "bad"):
        for back in ("page", "soft"):
            dark, light = sorted([luminance(colours[text]), luminance(colours[back])])
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, back)


def test_a_duplicate_is_shown_by_its_id(parsed: Page) -> None:
    section = " ".join(parsed.text.split()).split("is unique")[1]
    assert "Unexpected Value Count 3 2" in section


def test_private_values_are_not_on_the_page(page: Path) -> None:
    assert "DE89" not in page.read_text()


@pytest.fixture
def requested() -> Iterator[tuple[str, list[str]]]:
    """The address of a proxy, and the requests that it got."""
    seen: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        do_CONNECT = do_POST = do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()


@pytest.mark.slow
def test_a_browser_shows_the_page_without_asking_the_network(
    page: Path, requested: tuple[str, list[str]], tmp_path: Path
) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium to open the page with")
    proxy, seen = requested
    leak = tmp_path / "leak.html"
    leak.write_text('<img src="http://leak.example/x.png">')
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--virtual-time-budget=2000",
    ]

    def opened(file: Path) -> str:
        command = [
            chromium,
            *options,
            f"--user-data-dir={tmp_path}/{file.stem}",
            f"--proxy-server={proxy}",
            "--dump-dom",
            file.as_uri(),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    assert "Data quality of cards, 2018-07-25" in opened(page)
    assert [address for address in seen if "google" not in address and "gvt1" not in address] == []
    opened(leak)
    assert any("leak.example" in address for address in seen), "the proxy would have seen a request"
