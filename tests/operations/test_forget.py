"""Forgetting: nothing of a dataset names a forgotten entity, and every count and figure stays."""

import json
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from banks import NIGHT, Bank
from typer.testing import CliRunner

from flows.cli.app import app
from flows.plain import evaluate
from flows.settings import Settings, load_settings
from tasks.core.errors import NightError
from tasks.core.staging import scratch_folder
from tasks.labels.answers import one_answer, record_answers
from tasks.labels.known_labels import known_labels
from tasks.operations.forget import forget
from tasks.operations.forget_files import named_in
from tasks.publishing.integrity import violations
from tasks.training.window import find_kept, prepare, read_window, training_rows

pytestmark = pytest.mark.slow
FIGURES = [
    "select * exclude (committed_at) from daily",
    "select * exclude (run_id) from labelled_counts('infinity') order by all",
    "select alert, rows_flagged, score, p_value, status from all_alerts order by all",
]
CARDS = """
select
    any_value(entity order by id) filter (is_new and is_flagged) as new,
    any_value(entity order by id) filter (not is_new) as known,
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


def fill(bank: Bank, card: str) -> None:
    """A quarantined row of the card, and a report and texts that name it."""
    warehouse = load_settings(bank.config).open_warehouse()
    content = json.dumps({"id": "q-1", "card": card})
    warehouse.transact(
        lambda con: (
            con.execute(
                "insert into quarantine by name select run_id, $day as partition_date, 0 as source_row, "
                "'q-1' as id, 0 as copy, 'min' as rule, $content as content from runs",
                {"day": NIGHT, "content": content},
            ),
            con.execute(
                "update runs set rows_source = rows_source + 1, rows_quarantined = 1, "
                "message = 'see ' || $card",
                {"card": card},
            ),
            con.execute("update promotions set why = 'not ' || $card", {"card": card}),
        )
    )
    reports = warehouse.files / "reports"
    reports.mkdir()
    for name, text in ((f"report-{NIGHT}_{NIGHT}.html", card), (f"report-{NIGHT}_{NIGHT}.json", "{}")):
        (reports / name).write_text(text)


def answer(bank: Bank, row_id: str, choice: str, note: str) -> None:
    settings = load_settings(bank.config)
    record_answers(settings, settings.open_warehouse(), one_answer(row_id, choice, None, note), "Ada")


def test_nothing_names_a_forgotten_entity_and_every_figure_stays(scored_bank: Bank) -> None:
    settings = load_settings(scored_bank.config)
    card, known = scored_bank.table(CARDS).row(0)
    flagged, other = (
        scored_bank.table(f"select min(id) from alerts where entity {which} '{card}'").item()
        for which in ("=", "<>")
    )
    fill(scored_bank, card)
    answer(scored_bank, flagged, "normal", "moved house")
    answer(scored_bank, other, "fraud", f"as {card}")
    ids = ["q-1", *scored_bank.table(f"select id from score_rows where entity = '{card}'")["id"]]
    before = [scored_bank.table(query) for query in FIGURES]
    listed = run(scored_bank, "--entity", card)
    assert not listed["done"]
    assert card in cells(scored_bank)
    done = run(scored_bank, "--entity", card, "--yes")
    assert done["removed"] == listed["removed"]
    places = {each["place"]: each["count"] for each in done["removed"]}
    assert places | {"score_rows": 0, "labels": 0} == {
        "score_rows": 0,
        "labels": 0,
        "quarantine": 1,
        "answers": 1,
        "messages of runs": 1,
        "notes of answers": 1,
        "reasons of promotions": 1,
        "reports": 2,
    }
    text = cells(scored_bank)
    assert [name for name in (card, *ids, "moved house") if named_in(text, [name])] == []
    assert all(old.equals(scored_bank.table(query)) for old, query in zip(before, FIGURES, strict=True))
    with settings.open_warehouse().reading() as con:
        assert list(violations(con)) == []
    (alert,) = scored_bank.table("from all_alerts where entity = 'forgotten-1'").to_dicts()
    assert (alert["status"], alert["answered_by"], alert["note"]) == ("dismissed", "Ada", None)
    answer(scored_bank, alert["id"], "fraud", "after all")
    assert (
        scored_bank.table("select status from all_alerts where entity = 'forgotten-1'").item() == "confirmed"
    )
    with pytest.raises(NightError, match="no scored or quarantined row of small-bank is of the entity"):
        forget(settings, settings.open_warehouse(), card, yes=True)
    again = run(scored_bank, "--entity", known, "--yes")
    assert again["pseudonym"] == "forgotten-2"
    assert "compromised" in {each["place"] for each in again["removed"]}
    after, _ = evaluate(scored_bank.config, NIGHT, NIGHT)
    assert [name for name in ids if named_in(cells(scored_bank), [name])] == []
    assert any("were forgotten" in note for note in after.notes)


def test_a_forgotten_fraud_is_not_learnt_as_normal(
    scored_bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    """Its label and its flag are those of a pseudonym now, and the source still has the row."""
    scored_bank.configure('label = "is_fraud"\n', "")
    settings = load_settings(scored_bank.config)
    card = scored_bank.table("select min(entity) from alerts").item()
    ids = set(scored_bank.table(f"select id from score_rows where entity = '{card}'")["id"])
    before = learnt(settings)
    assert ids < {row_id for _, row_id in before}
    run(scored_bank, "--entity", card, "--yes")
    assert before - learnt(settings) == {(NIGHT, row_id) for row_id in ids}
    assert f"left out of the training: {len(ids)} rows of forgotten entities" in caplog.text


def learnt(dataset: Settings) -> set[tuple[date, str]]:
    """Date and id of the rows that a training as of the day after the night learns, beside known frauds."""
    warehouse = dataset.open_warehouse()
    first, last = dataset.training_window(NIGHT + timedelta(days=1))
    assert last == NIGHT
    labels = known_labels(dataset, warehouse, first, last, NIGHT)
    partitions, _ = read_window(dataset, first, last, warehouse.files)
    with scratch_folder(warehouse.files) as folder:
        days, _ = prepare(dataset, partitions, folder)
        kept = find_kept(warehouse, first, last)
        return set(training_rows(dataset, days, labels, labels.clear(), kept).keys.rows())


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
