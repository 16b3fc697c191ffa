"""Names that would break a statement, a tag or a table if they were inserted without quoting, through a whole
night.
"""

import html
import json
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest
from banks import CONFIG, DAYS, FIRST, NIGHT, ROWS, Bank, small_day
from typer.testing import CliRunner

import sql
from flows.cli.app import app
from flows.settings import load_settings
from tasks.operations.doctor import Setup, checks
from tasks.warehouse.connection import Warehouse

pytestmark = pytest.mark.slow
HOSTILE = 'x"; drop table scores; --'
SCRIPT = "<script>alert(1)</script>"
NAMES = {
    "id": f"{HOSTILE} id",
    "at": f"{HOSTILE} at",
    "card": f"{HOSTILE} card",
    "amount": HOSTILE,
    "distance": f"{HOSTILE} 'of' {{date}} $1 ?",
    "channel": f"{HOSTILE} {SCRIPT} [/b]",
    "is_fraud": f"{HOSTILE} label",
    "weight": f"{HOSTILE} weight",
    "iban": f"{HOSTILE} iban",
}
BAD = 3  # rows of each day without an amount
FEATURES = {NAMES[name] for name in ("amount", "distance", "channel")}


def quoted(name: str) -> str:
    return json.dumps(NAMES[name])  # a basic TOML string is JSON


def hostile_day(day: date) -> pl.DataFrame:
    """The day of the small bank under names of this kind, with a weight, a private column, and rows that
    break a rule.
    """
    number = pl.int_range(ROWS)
    frame = small_day(day).with_columns(
        amount=pl.when(number >= BAD).then("amount"),
        weight=pl.lit(1.0),
        iban=pl.concat_str(pl.lit("DE"), number),
    )
    return frame.rename(NAMES)


def configuration() -> str:
    text = CONFIG
    for old, new in {
        'id = "id"': f"id = {quoted('id')}",
        'time = "at"': f"time = {quoted('at')}",
        'entity = "card"': f"entity = {quoted('card')}",
        'label = "is_fraud"': f"label = {quoted('is_fraud')}\nweight = {quoted('weight')}\nprivate = "
        f"[{quoted('iban')}]\n"
        f"details = [{quoted('channel')}, {quoted('amount')}]",
        'numeric = ["amount", "distance"]': f"numeric = [{quoted('amount')}, {quoted('distance')}]",
        'categorical = ["channel"]': f"categorical = [{quoted('channel')}]",
        "[quality.columns.amount]": f"[quality.columns.{quoted('amount')}]",
        "[quality.columns.card]": f"[quality.columns.{quoted('card')}]",
    }.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(
    scope="module", params=["parquet", pytest.param("table with feature SQL", marks=pytest.mark.soak)]
)
def bank(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A bank with hostile names after its first night; the table and its date column have them as well."""
    from flows.plain import nightly

    bank = Bank(tmp_path_factory.mktemp("hostile"))
    bank.config.write_text(configuration())
    days = {date.fromordinal(FIRST.toordinal() + offset) for offset in range(DAYS)}
    if request.param == "parquet":
        for day in days:
            bank.write(day, hostile_day(day))
    else:
        rows = pl.concat(
            [hostile_day(day).with_columns(pl.lit(day).alias(f"{HOSTILE} date")) for day in sorted(days)]
        )
        with duckdb.connect(str(bank.folder / "core.duckdb")) as con:
            con.register("rows", rows.to_arrow())
            con.execute(f"create table {sql.identifier(HOSTILE)} as from rows")
        source = (
            f'database = "core.duckdb"\ntable = {json.dumps(HOSTILE)}\ndate_column = '
            f"{json.dumps(f'{HOSTILE} date')}"
        )
        bank.configure('path = "transactions/date={date}/*.parquet"', source)
        chosen = ", ".join(sql.identifier(NAMES[name]) for name in ("id", "amount", "distance", "channel"))
        (bank.folder / "features.sql").write_text(
            f"select {chosen} from history where _partition_date = $partition_date"
        )
        bank.configure("[features]", '[features]\nsql = "features.sql"')
    nightly(bank.config, NIGHT)
    return bank


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_row_is_accounted_for_under_its_own_names(bank: Bank) -> None:
    day = hostile_day(NIGHT)
    scores = bank.table("from scores order by id")
    good = day.filter(pl.col(NAMES["amount"]).is_not_null()).sort(NAMES["id"])
    assert scores["id"].to_list() == good[NAMES["id"]].to_list()
    assert scores["entity"].to_list() == good[NAMES["card"]].to_list()
    assert scores["event_time"].to_list() == good[NAMES["at"]].to_list()
    details = [json.loads(text) for text in scores["details"]]
    assert details == good.select(NAMES["channel"], NAMES["amount"]).to_dicts()
    quarantine = bank.table("from quarantined")
    assert (quarantine.height, quarantine["column_name"].unique().to_list()) == (BAD, [NAMES["amount"]])
    (content, *_) = [json.loads(text) for text in quarantine["content"]]
    assert content[NAMES["iban"]] == "***"
    assert set(content) >= set(NAMES.values())


def test_the_reasons_have_the_exact_feature_names(bank: Bank) -> None:
    alerts = bank.table("from alerts")
    assert set(alerts.explode("reasons")["reasons"].struct.field("feature")) == FEATURES
    assert all(because.count(HOSTILE) == len(FEATURES) for because in alerts["because"])
    assert HOSTILE in invoke("sql", "select because from alerts limit 1", "--config", str(bank.config))
    worst = alerts["id"][0]
    shares = json.loads(
        invoke("explain", "--date", str(NIGHT), "--id", worst, "--config", str(bank.config), "--json")
    )["shares"]
    assert {share["feature"] for share in shares} == FEATURES
    assert NAMES["channel"] in invoke(
        "explain", "--date", str(NIGHT), "--id", worst, "--config", str(bank.config)
    )


def test_the_pages_show_the_names_as_text(bank: Bank) -> None:
    window = [
        "--from",
        str(NIGHT),
        "--to",
        str(NIGHT),
        "--as-of",
        str(date.fromordinal(NIGHT.toordinal() + 2)),
    ]
    figures = json.loads(invoke("evaluate", *window, "--config", str(bank.config), "--json"))
    assert figures["positives"] > 0
    files = bank.folder / "nightscore-files" / "small-bank"
    (card,) = (files / "cards").glob("*.html")
    for page in (Path(figures["report"]), card, files / "data-docs" / f"{NIGHT}.html"):
        text = page.read_text()
        assert SCRIPT not in text, page
        assert NAMES[
            "channel" if page != files / "data-docs" / f"{NIGHT}.html" else "amount"
        ] in html.unescape(text), page


def test_init_and_doctor_accept_the_names(bank: Bank) -> None:
    table = (bank.folder / "core.duckdb").is_file()
    place = (
        ["--database", str(bank.folder / "core.duckdb"), "--table", HOSTILE]
        if table
        else ["--path", str(bank.folder / "transactions")]
    )
    out = bank.folder / "found.toml"
    invoke("init", *place, "--out", str(out), "--name", "found")
    text = out.read_text()
    assert all(json.dumps(name) in text for name in NAMES.values())
    for config in (out, bank.config):
        settings = load_settings(config)
        setup = Setup(settings, Warehouse(settings.warehouse, settings.name), settings.notify)
        assert not {
            check.name: check.found for check in checks(setup) if check.ok is False and check.name != "disk"
        }
