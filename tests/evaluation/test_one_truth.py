"""For one label cut-off, every place that shows a night's flags and frauds shows the same figures."""

import json
from datetime import date, timedelta

import polars as pl
import pytest
from banks import NIGHT, ROWS, Bank
from hooks import listening
from typer.testing import CliRunner

from flows.cli.app import app
from flows.evaluation import evaluate_nights
from flows.nightly import score_night
from flows.settings import Settings, load_settings
from tasks.core.evaluation_result import Evaluation
from tasks.core.populations import ALL, NEW
from tasks.labels.label_file import record_labels
from tasks.pages.charts import count, figure
from tasks.pages.report import counted, markdown
from tasks.warehouse.connection import Warehouse

pytestmark = pytest.mark.slow
LAST, DELAY = NIGHT + timedelta(days=1), timedelta(days=2)
CUT_OFF = LAST + DELAY
COUNTED = (
    "rows",
    "flagged",
    "alerts",
    "labelled",
    "positives",
    "flagged_labelled",
    "frauds_flagged",
    "frauds",
)
FLAGS = ("precision", "recall")


def warehouse_of(bank: Bank) -> tuple[Settings, Warehouse]:
    settings = load_settings(bank.config)
    return settings, settings.open_warehouse()


def evaluated(bank: Bank, first: date = NIGHT, last: date = LAST, as_of: date = CUT_OFF) -> Evaluation:
    return evaluate_nights(bank.config, first, last, as_of)[0]


@pytest.fixture(params=["plain", "weighted"])
def labelled_bank(scored_bank: Bank, request: pytest.FixtureRequest) -> Bank:
    """Two scored nights, the second with rows whose label is not known, and with reports of an analyst."""
    if request.param == "weighted":
        scored_bank.configure('label = "is_fraud"', 'label = "is_fraud"\nweight = "weight"')
        for day in (NIGHT, LAST):
            weight = pl.Series([0.1 + number / 7 for number in range(ROWS)])
            scored_bank.change(day, lambda rows, weight=weight: rows.with_columns(weight=weight))
    unknown = pl.when(pl.int_range(pl.len()) % 9 > 0).then("is_fraud")
    scored_bank.change(LAST, lambda rows: rows.with_columns(is_fraud=unknown))
    score_night(scored_bank.config, LAST)
    flagged = scored_bank.table("select id from scores where is_flagged order by id limit 7")["id"]
    report = pl.DataFrame({"id": flagged, "label": 1, "known_at": LAST, "source": "analyst"})
    report.write_parquet(scored_bank.folder / "answers.parquet")
    record_labels(warehouse_of(scored_bank)[1], scored_bank.folder / "answers.parquet")
    return scored_bank


def test_page_json_metrics_artifact_console_and_daily_agree(labelled_bank: Bank) -> None:
    bank = labelled_bank
    found, page = evaluate_nights(bank.config, NIGHT, LAST, CUT_OFF)
    shown = json.loads(page.with_suffix(".json").read_text())
    counts = {name: sum_of(found, name) for name in (ALL, NEW)}
    assert counts[NEW]["frauds"] < counts[ALL]["frauds"]
    assert counts[ALL]["flagged_labelled"] != counts[ALL]["flagged"]

    daily = bank.table("from daily order by partition_date").to_dicts()
    for night, line in zip(shown["nights"], daily, strict=True):
        assert str(line["partition_date"]) == night["date"]
        for name in ("alerts", "frauds", "flagged_labelled", "frauds_flagged", *FLAGS):
            assert night[name] == line[name]
            assert night[f"new_{name}"] == line[f"new_{name}"]
        assert (night["flagged"], night["rows"]) == (line["rows_flagged"], line["rows_scored"])
        assert date.fromisoformat(night["date"]) + DELAY == line["labels_as_of"]

    metrics = {
        (row["population"], row["metric"]): row
        for row in bank.table("from latest_metrics where detector = 'nightscore'").to_dicts()
        if (row["first_date"], row["last_date"], row["as_of"]) == (NIGHT, LAST, CUT_OFF)
    }
    for name in (ALL, NEW):
        assert {key: shown["populations"][name][key] for key in COUNTED} == counts[name]
        precision = counts[name]["frauds_flagged"] / counts[name]["flagged_labelled"]
        recall = counts[name]["frauds_flagged"] / counts[name]["frauds"]
        for metric, value in zip(FLAGS, (precision, recall), strict=True):
            low, high = shown["populations"][name]["intervals"][metric]
            assert low <= value <= high
            assert shown["populations"][name][metric] == metrics[name, metric]["value"] == value
        assert metrics[name, "recall"]["rows"] == counts[name]["labelled"]
        assert metrics[name, "recall"]["positives"] == counts[name]["positives"]
    assert {key: shown[key] for key in FLAGS} == {key: shown["populations"][NEW][key] for key in FLAGS}

    console = CliRunner().invoke(
        app,
        [
            "evaluate",
            "--config",
            str(bank.config),
            "--from",
            str(NIGHT),
            "--to",
            str(LAST),
            "--as-of",
            str(CUT_OFF),
        ],
    )
    assert console.exit_code == 0, console.stderr
    texts = {"page": page.read_text(), "artifact": markdown(found, page), "console": console.stdout}
    for place, text in texts.items():
        assert str(CUT_OFF) in text or f"{CUT_OFF:%B} {CUT_OFF.year}" in text, place
        for name in (ALL, NEW):
            for metric in FLAGS:
                assert figure(metrics[name, metric]["value"]) in text, (place, name, metric)
    for cell in map(count, counted(found.counts[NEW])):
        assert f'<td class="n">{cell}</td>' in texts["page"]


def test_a_webhook_gets_the_figures_of_a_matured_night_with_their_cut_off(scored_bank: Bank) -> None:
    with listening() as hook, listening() as other:
        on = (
            f'[notify]\nwebhooks = [{{ url = "{hook.url}", on = ["report"] }}, {{ url = "{other.url}" }}]\n\n'
        )
        scored_bank.configure("[warehouse]", f"{on}[warehouse]")
        score_night(scored_bank.config, NIGHT + DELAY)
        (sent,) = hook.bodies
    assert (sent["event"], sent["date"]) == ("report", str(NIGHT))
    (row,) = scored_bank.table(f"from daily where partition_date = '{NIGHT}'").to_dicts()
    assert sent["message"].startswith(
        f"by the labels known at the end of {NIGHT + DELAY}: {row['alerts']} alerts"
    )
    flagged, caught = row["flagged_labelled"], row["frauds_flagged"]
    assert (
        f"of the {flagged:.0f} flagged rows with a known label, {caught:.0f} were frauds" in sent["message"]
    )
    assert f"{row['frauds'] - caught:.0f} of {row['frauds']:.0f} frauds were missed" in sent["message"]
    assert other.bodies == []  # only webhooks that name the event get it


def sum_of(evaluation: Evaluation, population: str) -> dict[str, float]:
    nights = [night.counts[population] for night in evaluation.nights]
    return {name: sum(getattr(night, name) for night in nights) for name in COUNTED}


def test_any_cut_off_gives_what_the_macro_gives_for_it(labelled_bank: Bank) -> None:
    evaluated(labelled_bank)
    seen = set()
    for cut_off in (NIGHT + DELAY, CUT_OFF, date(2026, 12, 31)):
        found = evaluated(labelled_bank, as_of=cut_off)
        for night in found.nights:
            query = f"from labelled_counts('{cut_off}'::date) where run_id = '{night.run_id}'"
            for row in labelled_bank.table(query).to_dicts():
                mine = night.counts[row["population"]]
                assert {name: row[name] for name in COUNTED} == {
                    name: getattr(mine, name) for name in COUNTED
                }
        seen.add(tuple(night.counts[ALL] for night in found.nights))
    assert len(seen) == 2


@pytest.mark.parametrize("reported", [False, True])
def test_known_compromised_is_a_property_of_the_night_whatever_window_is_looked_at(
    scored_bank: Bank, reported: bool
) -> None:
    """Recomputed from the source alone, and from what an analyst had reported by then."""
    warehouse = warehouse_of(scored_bank)[1]
    cleared: dict[str, date] = {}
    if reported:
        rows = pl.read_parquet(scored_bank.day_folder(NIGHT - timedelta(days=3)) / "part-0.parquet")
        first, second = rows.filter("is_fraud")["id"][:2]
        cleared = {first: NIGHT - timedelta(days=1), second: NIGHT}
        known = pl.DataFrame(list(cleared.items()), ["id", "known_at"], orient="row").with_columns(
            label=False, source=pl.lit("analyst"), partition_date=pl.lit(NIGHT - timedelta(days=3))
        )
        insert = "insert into labels by name select *, 1.0 as weight, now() as recorded_at from known"
        warehouse.transact(lambda con: (con.register("known", known.to_arrow()), con.execute(insert)))
        forget = "update runs set compromised_entities = null"
        warehouse.transact(lambda con: (con.execute("delete from compromised"), con.execute(forget)))
    score_night(scored_bank.config, LAST)
    evaluated(scored_bank, LAST, LAST)
    first_alone = stored(scored_bank)
    evaluated(scored_bank, NIGHT, LAST)
    assert first_alone.items() <= stored(scored_bank).items()
    runs = scored_bank.table(
        "select partition_date, compromised_entities, models.first_date "
        "from current_runs join models on version = model_version"
    )
    for day, number, training_first in runs.iter_rows():
        frauds = set()
        earlier = training_first
        normal = [row_id for row_id, known_at in cleared.items() if known_at < day]
        while earlier <= day - DELAY - timedelta(days=1):
            rows = pl.read_parquet(scored_bank.day_folder(earlier) / "part-0.parquet")
            is_fraud = pl.col("is_fraud") & ~pl.col("id").is_in(normal)
            frauds |= set(rows.filter(is_fraud)["card"])
            earlier += timedelta(days=1)
        cards = set(scored_bank.table(f"select entity from scores where partition_date = '{day}'")["entity"])
        assert stored(scored_bank)[day] == frauds & cards
        assert 0 < number == len(frauds & cards) < len(cards)


def test_the_scale_of_the_scores_of_one_of_several_versions_does_not_count(scored_bank: Bank) -> None:
    from flows.training import train_on_demand

    second = train_on_demand(scored_bank.config, LAST, promote=True).name
    score_night(scored_bank.config, LAST)
    found, page = evaluate_nights(scored_bank.config, NIGHT, LAST, CUT_OFF)
    assert found.model_versions[1] == second
    assert found.is_pooled
    assert found.ranking
    text = page.read_text()
    assert "their scores are not comparable" in text
    assert "-log10 of the p-value" in text
    warehouse_of(scored_bank)[1].transact(
        lambda con: con.execute(
            f"update score_rows set score = score * 1000 where model_version = '{second}'"
        )
    )
    again = evaluated(scored_bank)
    assert again.ranking == found.ranking
    assert {alert.entity for alert in again.alerts} == {alert.entity for alert in found.alerts}
    assert found.ranking.detector["auc_roc"].value


def stored(bank: Bank) -> dict[date, set[str]]:
    rows = bank.table("select partition_date, list(entity) as entities from compromised group by all")
    return {day: set(entities) for day, entities in rows.iter_rows()}


def test_daily_has_the_labels_of_every_night_after_a_backfill(bank: Bank) -> None:
    from flows.backfill import backfill_dates

    backfill_dates(bank.config, NIGHT, LAST)
    daily = bank.table(
        "select partition_date, frauds, new_frauds, precision, labels_as_of from daily order by all"
    )
    assert daily["frauds"].to_list() == [ROWS // 40] * 2
    assert daily["new_frauds"].null_count() == daily["precision"].null_count() == 0
    assert daily["labels_as_of"].to_list() == [NIGHT + DELAY, LAST + DELAY]
