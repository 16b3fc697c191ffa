"""Judging a window: what is judged, by which labels, beside whom, and where the figures go."""

import json
import re
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from banks import NIGHT, ROWS, Bank, small_day
from typer.testing import CliRunner

from flows.cli.app import app
from flows.settings import load_settings
from models.checks.baselines import BASELINES
from tasks.core.identity import run_identity, training_identity
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.query import query

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
LAST = NIGHT + timedelta(days=1)


def evaluate(config: Path, first: date, last: date, as_of: date | None = None) -> dict[str, object]:
    known = ["--as-of", str(as_of)] if as_of else []
    result = CliRunner().invoke(
        app, ["evaluate", "--config", str(config), "--from", str(first), "--to", str(last), "--json", *known]
    )
    assert result.exit_code == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_a_window_is_scored_where_it_must_be_and_judged_beside_its_baselines(scored_bank: Bank) -> None:
    found = evaluate(scored_bank.config, NIGHT, LAST, as_of=LAST + timedelta(days=2))
    assert scored_bank.table("from current_runs").height == 2
    frauds = 2 * (ROWS // 40)
    left_out = int(str(found["rows_left_out"]))
    assert found["rows"] == 2 * ROWS - left_out
    assert 0 < int(str(found["positives"])) <= frauds
    assert isinstance(found["baselines"], dict)
    assert set(found["baselines"]) == set(BASELINES)
    for figures in (found, *found["baselines"].values()):
        assert 0.5 < figures["auc_roc"] <= 1
        assert 0 < figures["average_precision"] <= 1
        assert 0 < figures["card_precision_at_100"] <= 1
    assert Path(str(found["report"])).is_file()


def test_the_version_without_label_derived_features_is_trained_with_the_night_and_never_by_an_evaluation(
    bank: Bank,
) -> None:
    bank.configure(
        'categorical = ["channel"]', 'categorical = ["channel"]\nlabel_derived = ["amount", "distance"]'
    )
    run = ["run", "--config", str(bank.config), "--date", str(NIGHT)]
    assert CliRunner().invoke(app, run).exit_code == 0
    trained = bank.table("select version, training_hash, as_of from models order by all")
    promoted = bank.table("select version from promotions")["version"]
    assert (trained.height, promoted.len()) == (2, 1)
    assert trained["training_hash"].n_unique() == 2
    found = evaluate(bank.config, NIGHT, NIGHT, as_of=LAST + timedelta(days=1))
    assert isinstance(found["without_label_derived"], dict)
    assert found["without_label_derived"]["average_precision"] < found["average_precision"]
    settings = load_settings(bank.config)
    forget = f"delete from models where version <> '{promoted[0]}'"
    Warehouse(settings.warehouse, settings.name).transact(lambda con: con.execute(forget))
    found = evaluate(bank.config, NIGHT, NIGHT, as_of=LAST + timedelta(days=1))
    assert found["without_label_derived"] is None
    assert any(f"nightscore train --as-of {NIGHT}" in note for note in found["notes"])
    assert bank.table("select version from models")["version"].to_list() == promoted.to_list()


def test_the_figures_are_stored_as_they_are_printed(scored_bank: Bank) -> None:
    found = evaluate(scored_bank.config, NIGHT, NIGHT, as_of=NIGHT + timedelta(days=2))
    stored = scored_bank.table("from metrics where detector = 'nightscore' and population = 'new'")
    values = dict(stored.select("metric", "value").iter_rows())
    assert values == {name: found[name] for name in values}
    assert set(values) >= {"auc_roc", "average_precision", "card_precision_at_100", "precision", "recall"}
    assert set(scored_bank.table("from metrics")["detector"]) == {"nightscore", *BASELINES}
    by_view = scored_bank.table("select precision, recall, frauds from daily").row(0)
    assert by_view[2] == ROWS // 40


def test_report_and_model_card_name_what_they_show_and_link_to_each_other(scored_bank: Bank) -> None:
    settings = load_settings(scored_bank.config)
    page = Path(str(evaluate(scored_bank.config, NIGHT, NIGHT, as_of=NIGHT + timedelta(days=2))["report"]))
    facts = page.read_text().split("About this page")[1]
    run_id, config_hash = scored_bank.table("select run_id, config_hash from current_runs").row(0)
    assert f"<td>{run_id}</td>" in facts
    assert config_hash == run_identity(settings).current
    assert f"<td>{config_hash} (the keys that decide the scores)</td>" in facts
    assert f"<td>{settings.threshold.rule}</td>" in facts
    (address,) = re.findall(r'href="([^"]+)"', facts)
    card = (page.parent / address).resolve()
    facts = card.read_text().split("About this page")[1]
    assert f"<td>{training_identity(settings).current} (the keys that decide what" in facts
    (address,) = re.findall(r'href="([^"]+)"', facts)
    assert (card.parent / address).resolve() == page.resolve()


def test_a_threshold_rule_that_the_runs_did_not_use_is_not_shown(scored_bank: Bank) -> None:
    with scored_bank.config.open("a") as config:
        config.write("\n[threshold]\nvalue = 0.9\n")
    page = Path(str(evaluate(scored_bank.config, NIGHT, NIGHT, as_of=NIGHT + timedelta(days=2))["report"]))
    assert "not shown: the configuration has changed since" in page.read_text()
    assert "train_quantile 0.9" not in page.read_text()


def test_labels_that_nobody_knew_by_then_are_not_used(scored_bank: Bank) -> None:
    found = evaluate(scored_bank.config, NIGHT, NIGHT, as_of=NIGHT + timedelta(days=1))
    assert found["positives"] is None
    assert found["auc_roc"] is None
    assert str(NIGHT + timedelta(days=2)) in str(found["notes"])
    known_at = scored_bank.table("select distinct known_at from labels")["known_at"].to_list()
    assert known_at == [NIGHT + timedelta(days=2)]


def test_a_dataset_without_labels_has_a_report_that_says_so(bank: Bank) -> None:
    bank.configure('label = "is_fraud"\n', "")
    found = evaluate(bank.config, NIGHT, NIGHT)
    assert found["rows"] == ROWS
    assert found["positives"] is None
    assert "no label column" in str(found["notes"])
    assert "no label column" in Path(str(found["report"])).read_text()


def test_a_night_reports_the_date_whose_labels_mature(scored_bank: Bank) -> None:
    from flows.plain import nightly

    nightly(scored_bank.config, NIGHT + timedelta(days=2))
    assert scored_bank.table("select distinct first_date, last_date, as_of from metrics").rows() == [
        (NIGHT, NIGHT, NIGHT + timedelta(days=2))
    ]


def test_a_source_that_changed_since_is_not_judged(scored_bank: Bank) -> None:
    scored_bank.change(NIGHT, lambda day: day.with_columns(amount=pl.col("amount") + 1))
    arguments = ["evaluate", "--config", str(scored_bank.config), "--from", str(NIGHT), "--to", str(NIGHT)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert f"nightscore run --date {NIGHT}" in result.stderr


def test_a_partition_in_another_order_or_in_other_files_is_judged_with_the_same_figures(
    scored_bank: Bank,
) -> None:
    before = evaluate(scored_bank.config, NIGHT, NIGHT, as_of=NIGHT + timedelta(days=2))
    rows = small_day(NIGHT).reverse()
    scored_bank.write(NIGHT, rows.head(150))
    rows.tail(-150).write_parquet(scored_bank.day_folder(NIGHT) / "part-1.parquet")
    after = evaluate(scored_bank.config, NIGHT, NIGHT, as_of=NIGHT + timedelta(days=2))
    figures = {"rows", "positives", "auc_roc", "average_precision", "baselines"}
    assert {name: after[name] for name in figures} == {name: before[name] for name in figures}
    assert before["positives"]


def test_every_query_of_the_readme_runs(scored_bank: Bank) -> None:
    queries = re.findall(r"```sql\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert len(queries) >= 5
    evaluate(scored_bank.config, NIGHT, LAST, as_of=LAST + timedelta(days=2))
    scored_bank.change(
        LAST,
        lambda day: day.with_columns(
            amount=pl.when(pl.int_range(pl.len()) < 2).then(-1.0).otherwise("amount")
        ),
    )
    result = CliRunner().invoke(app, ["run", "--config", str(scored_bank.config), "--date", str(LAST)])
    assert result.exit_code == 0, result.stderr
    settings = load_settings(scored_bank.config)
    for text in queries:
        assert query(Warehouse(settings.warehouse, settings.name), text).rows, text


@pytest.mark.soak
@pytest.mark.parametrize("with_reduced", [False, True])
def test_the_public_protocol_on_real_rows_beats_what_was_published(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_reduced: bool
) -> None:
    monkeypatch.setenv("NIGHTSCORE_DATA", str(shared_data))
    config = tmp_path / "nightscore.toml"
    example = (REPOSITORY / "examples" / "card_transactions.toml").read_text()
    assert "members = 3\n" in example
    one = example.replace("members = 3\n", "")  # one network shows as much in a third of the time
    config.write_text(one if with_reduced else re.sub(r"label_derived = \[.*\]", "label_derived = []", one))
    found = evaluate(config, date(2018, 7, 25), date(2018, 7, 31))
    assert (found["rows"], found["positives"]) == (58_505, 374)
    published = {"auc_roc": 0.836, "average_precision": 0.180, "card_precision_at_100": 0.217}
    assert all(float(str(found[name])) > value for name, value in published.items())
    assert isinstance(found["baselines"], dict)
    best = max(figures["average_precision"] for figures in found["baselines"].values())
    assert float(str(found["average_precision"])) > best
    reduced = found["without_label_derived"]
    assert (set(reduced["baselines"]) if isinstance(reduced, dict) else None) == (
        set(BASELINES) if with_reduced else None
    )
