"""Forgetting: nothing of a dataset names a forgotten entity, and every count and figure stays."""

import json
from typing import Any

import polars as pl
import pytest
from banks import NIGHT, Bank
from typer.testing import CliRunner

from flows.cli.app import app
from flows.plain import evaluate, nightly
from flows.settings import load_settings
from tasks.core.errors import NightError
from tasks.operations.forget import forget
from tasks.operations.forget_files import named_in
from tasks.publishing.integrity import violations

COUNTS = "select * exclude (committed_at) from daily"
CARDS = """
select mode(entity) filter (is_new) as new, any_value(entity order by id) filter (not is_new) as known
from labelled_rows('infinity')
"""


def run(bank: Bank, *asked: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["prune", "--config", str(bank.config), "--json", *asked])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def cells(bank: Bank) -> str:
    """Every cell of every table, and every page, as one text."""
    tables = bank.table("select table_name from duckdb_tables() where schema_name = 'small-bank'")
    rows = [bank.table(f"select whole::varchar as text from {name} as whole") for name in tables.to_series()]
    pages = load_settings(bank.config).open_warehouse().files.rglob("*.html")
    return "\n".join([*pl.concat(rows)["text"], *(page.read_text() for page in pages)])


def test_nothing_names_a_forgotten_entity_and_every_figure_stays(scored_bank: Bank) -> None:
    settings = load_settings(scored_bank.config)
    card, known = scored_bank.table(CARDS).row(0)
    broken = pl.when(pl.int_range(pl.len()) == 0).then(-1.0).otherwise("amount").alias("amount")
    scored_bank.change(NIGHT, lambda day: day.sort(pl.col("card") != card, "id").with_columns(broken))
    nightly(scored_bank.config, NIGHT)
    before, _ = evaluate(scored_bank.config, NIGHT, NIGHT)
    reports = settings.open_warehouse().files / "reports"
    reports.mkdir(exist_ok=True)
    for name, text in ((f"report-{NIGHT}_{NIGHT}.html", card), (f"report-{NIGHT}_{NIGHT}.json", "{}")):
        (reports / name).write_text(text)
    ids = scored_bank.table(f"select id from score_rows where entity = '{card}'")["id"].to_list()
    assert card in cells(scored_bank)
    counts = scored_bank.table(COUNTS)
    listed = run(scored_bank, "--entity", card)
    assert not listed["done"]
    assert card in cells(scored_bank)
    done = run(scored_bank, "--entity", card, "--yes")
    assert done["removed"] == listed["removed"]
    places = {each["place"]: each["count"] for each in done["removed"]}
    assert places["reports"] == 2
    assert places.keys() >= {"score_rows", "quarantine", "labels", "reports", "Data Docs pages"}
    text = cells(scored_bank)
    assert [name for name in (card, *ids) if named_in(text, [name])] == []
    assert scored_bank.table(COUNTS).equals(counts)
    with settings.open_warehouse().reading() as con:
        assert list(violations(con)) == []
    after, _ = evaluate(scored_bank.config, NIGHT, NIGHT)
    assert [name for name in ids if named_in(cells(scored_bank), [name])] == []
    for population, figures in before.figures.items():
        assert {name: each.value for name, each in figures.items()} == pytest.approx(
            {name: each.value for name, each in after.figures[population].items()}, rel=1e-12
        )
    assert after.confusion == before.confusion
    assert any("were forgotten" in note for note in after.notes)
    with pytest.raises(NightError, match="no scored or quarantined row of small-bank is of the entity"):
        forget(settings, settings.open_warehouse(), card, yes=True)
    again = run(scored_bank, "--entity", known, "--yes")
    assert again["pseudonym"] == "forgotten-2"
    assert "compromised" in {each["place"] for each in again["removed"]}
    assert scored_bank.table(COUNTS).equals(counts)


def test_the_command_refuses_what_it_cannot_do_in_one_line(scored_bank: Bank) -> None:
    asked = ["prune", "--config", str(scored_bank.config)]
    for more in ([], ["--keep-days", "1", "--entity", "x"], ["--entity", "x", "--scores"]):
        assert CliRunner().invoke(app, [*asked, *more]).exit_code == 2
    settings = load_settings(scored_bank.config)
    waiting = settings.open_warehouse().files / "staging" / str(NIGHT)
    waiting.mkdir(parents=True)
    (waiting / "publication.json").write_text("{}")
    with pytest.raises(NightError, match=r"2026-01-10 \(scored\): nights that wait \(1\)"):
        forget(settings, settings.open_warehouse(), "card-001")


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("<td>card-1</td>", "card-1", True),
        ("<td>card-12</td>", "card-1", False),
        ("<td>A&amp;B &#39;x&#39;</td>", "A&B 'x'", True),
        ('{"entity": "M\\u00fcller"}', "Müller", True),
    ],
)
def test_a_page_names_an_entity_as_a_whole_word(text: str, name: str, found: bool) -> None:
    assert named_in(text, [name]) == found
