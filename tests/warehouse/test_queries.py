"""The questions of docs/queries.md, as they are written there, on real nights; each answer is found once
more without DuckDB.
"""

import json
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

import sql
from flows.settings import load_settings
from tasks.evaluation.settings import Window
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.query import Answer, query

ROOT = Path(__file__).parents[2]
NIGHTS = [date(2018, 7, 25), date(2018, 7, 26), date(2018, 7, 27)]
FIRST, LAST = NIGHTS[0], NIGHTS[-1]
TABLES = ("runs", "score_rows", "quarantine", "labels", "models", "promotions")
QUESTION = re.compile(r"^## ([^\n]+)\n\n```sql\n(.+?)\n```\n\n([^\n]+)\n", re.MULTILINE | re.DOTALL)
QUERIES = {
    match[1]: match[2]
    for match in QUESTION.finditer((ROOT / "docs" / "queries.md").read_text(encoding="utf-8"))
}


@dataclass(frozen=True)
class Example:
    """Three nights of cards, the last one scored by two versions, as the tables hold them."""

    config: Path
    tables: dict[str, pl.DataFrame]

    def ask(self, question: str, as_of: datetime | None = None) -> list[dict[str, Any]]:
        settings = load_settings(self.config)
        answer: Answer = query(Warehouse(settings.warehouse, settings.name), QUERIES[question], as_of)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    @property
    def runs(self) -> pl.DataFrame:
        return self.tables["runs"].filter(pl.col("superseded_at").is_null())

    @property
    def scores(self) -> pl.DataFrame:
        return self.tables["score_rows"].join(self.runs.select("run_id"), on="run_id", how="semi")

    @property
    def labelled(self) -> pl.DataFrame:
        """Every row with its label; here each row has one label at most."""
        labels = self.tables["labels"].select("id", "partition_date", "label")
        assert not labels.select("id", "partition_date").is_duplicated().any()
        return self.scores.join(labels, on=["id", "partition_date"], how="left")

    @property
    def tonight(self) -> pl.DataFrame:
        return self.scores.filter(pl.col("partition_date") == LAST)


def configure(folder: Path, data: Path) -> Path:
    """The example of the public card transactions, made small, without its head, whose window is long, and
    with a rule that exactly one row of the nights breaks.
    """
    text = (
        (ROOT / "examples" / "card_transactions.toml")
        .read_text(encoding="utf-8")
        .replace("${NIGHTSCORE_DATA}", str(data))
    )
    for old, new in {
        "hidden = [100, 20, 100]": "hidden = [8, 3, 8]",
        "members = 3": "members = 1",
        "epochs = 40": "epochs = 2",
        "window_days = 7": "window_days = 3",
        'kind = "auto"': 'kind = "none"',
        'strategy = "budget"\nvalue = 100\nreserve = 0.5': 'strategy = "train_quantile"\nvalue = 0.99\n#',
        "max = 100000.0": f"max = {second_largest(data)}",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "nightscore.toml").write_text(text, encoding="utf-8")
    return folder / "nightscore.toml"


def second_largest(data: Path) -> float:
    nights = [pl.read_parquet(data / "card_transactions" / f"date={day}" / "*.parquet") for day in NIGHTS]
    largest = pl.concat(nights)["amount"].sort(descending=True)
    assert largest[0] > largest[1]
    return float(largest[1])


@pytest.fixture(scope="module")
def warehouse(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Example:
    from flows.plain import nightly
    from tasks.evaluation.evaluate import evaluate

    folder = tmp_path_factory.mktemp("queries")
    config = configure(folder, shared_data)
    for day in NIGHTS:
        nightly(config, day)
    config.write_text(config.read_text().replace("hidden = [8, 3, 8]", "hidden = [6, 2, 6]"))
    nightly(config, LAST)
    settings = load_settings(config)
    window = Window(FIRST, LAST, LAST + timedelta(days=7))
    warehouse = Warehouse(settings.warehouse, settings.name)
    evaluate(settings, warehouse, settings.evaluation, window, folder)
    with duckdb.connect(str(folder / "nightscore.duckdb"), read_only=True) as con:
        con.execute('use "card-fraud"')
        tables = {name: con.sql(f"from {sql.identifier(name)}").pl() for name in TABLES}
    return Example(config, tables)


def test_every_question_has_one_statement_and_a_line_on_how_to_read_it() -> None:
    text = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
    assert text.count("```sql") == text.count("\n## ") == len(QUERIES) == 11


@pytest.mark.slow
def test_which_cards_first(warehouse: Example) -> None:
    flagged = warehouse.tonight.filter("is_flagged")
    worst = flagged.sort("rank", "id").unique("entity", keep="first", maintain_order=True).head(10)
    answer = warehouse.ask("Which cards do I look at first tonight?")
    assert [(line["alert"], line["entity"], line["id"], line["p_value"]) for line in answer] == [
        (number, *row)
        for number, row in enumerate(worst.select("entity", "id", "p_value").iter_rows(), start=1)
    ]
    before = warehouse.scores.filter(pl.col("is_flagged") & (pl.col("partition_date") < LAST))
    for line, reasons in zip(answer, worst["reasons"], strict=True):
        assert line["rows_flagged"] == flagged.filter(pl.col("entity") == line["entity"]).height
        assert line["flagged_last_30_days"] == before.filter(pl.col("entity") == line["entity"]).height
        assert line["because"] == "; ".join(
            f"{one['feature']} {one['observed']} ({one['usual']})" for one in reasons
        )


@pytest.mark.slow
def test_details_are_the_columns_of_the_source(warehouse: Warehouse, shared_data: Path) -> None:
    source = pl.read_parquet(shared_data / "card_transactions" / f"date={LAST}" / "*.parquet")
    found = {row["id"]: json.loads(row["details"]) for row in warehouse.tonight.iter_rows(named=True)}
    assert found == {
        str(row["transaction_id"]): {"amount": row["amount"], "terminal_id": row["terminal_id"]}
        for row in source.iter_rows(named=True)
    }
    for line in warehouse.ask("Which cards do I look at first tonight?"):
        assert (float(line["amount"]), line["terminal"]) == (
            pytest.approx(found[line["id"]]["amount"], abs=0.005),
            str(found[line["id"]]["terminal_id"]),
        )


@pytest.mark.slow
def test_why_this_one(warehouse: Example) -> None:
    worst = warehouse.tonight.sort("rank", "id").row(0, named=True)
    expected = sorted(worst["reasons"], key=lambda reason: -reason["contribution"])
    answer = warehouse.ask("Why this one?")
    assert [
        (line["id"], line["feature"], line["observed"], line["usual"], line["share"]) for line in answer
    ] == [
        (worst["id"], reason["feature"], reason["observed"], reason["usual"], reason["share"])
        for reason in expected
    ]
    assert [line["share"] for line in answer] == pytest.approx(
        [one["contribution"] / worst["score"] for one in expected]
    )


@pytest.mark.slow
def test_who_was_flagged_again(warehouse: Example) -> None:
    flagged = warehouse.scores.filter("is_flagged")
    before = flagged.filter(pl.col("partition_date") < LAST).group_by("entity").len("before")
    again = (
        flagged.filter(pl.col("partition_date") == LAST)
        .group_by("entity")
        .len("tonight")
        .join(before, on="entity")
    )
    answer = warehouse.ask("Who was flagged again?")
    assert {(line["entity"], line["rows_flagged"], line["flagged_last_30_days"]) for line in answer} == set(
        again.select("entity", "tonight", "before").iter_rows()
    )
    assert [line["flagged_last_30_days"] for line in answer] == sorted(again["before"], reverse=True) != []


@pytest.mark.slow
def test_precision_week_by_week(warehouse: Example) -> None:
    flagged, frauds = warehouse.labelled.filter("is_flagged"), int(warehouse.labelled["label"].sum())
    found = int(flagged["label"].sum())
    (week,) = warehouse.ask("How precise were the flags, week by week?")
    assert week == {
        "week": FIRST - timedelta(days=FIRST.weekday()),
        "nights": len(NIGHTS),
        "flagged": flagged.height,
        "flagged_labelled": flagged.height,
        "frauds_flagged": found,
        "frauds": frauds,
        "precision": pytest.approx(found / flagged.height),
        "recall": pytest.approx(found / frauds),
    }
    assert 0 < found < min(flagged.height, frauds)


@pytest.mark.slow
def test_drift_of_the_error(warehouse: Example) -> None:
    answer = warehouse.ask("Does the error drift?")
    assert [line["partition_date"] for line in answer] == NIGHTS[::-1]
    for line in answer:
        night = warehouse.scores.filter(pl.col("partition_date") == line["partition_date"])
        assert (line["rows"], [line["model_version"]]) == (
            night.height,
            night["model_version"].unique().to_list(),
        )
        assert line["median_error"] == pytest.approx(night["error"].median(), rel=1e-5)
        assert line["error_99"] == pytest.approx(night["error"].quantile(0.99, "linear"), rel=1e-5)
        assert line["share_unlikely"] == pytest.approx((night["p_value"] <= 0.05).mean())
    newest, middle, first = (line["median_error"] for line in answer)
    assert [line["change"] for line in answer] == [
        None,
        pytest.approx(middle - first),
        None,
    ]  # the last night has a version of its own
    assert newest != middle


@pytest.mark.slow
def test_what_was_quarantined_and_why(warehouse: Example) -> None:
    (line,) = warehouse.ask("What was quarantined, and why?")
    (bad,) = warehouse.tables["quarantine"].to_dicts()
    (run,) = warehouse.runs.filter(pl.col("rows_quarantined") > 0).to_dicts()
    assert (line["partition_date"], line["rule"], line["column_name"], line["rows"]) == (
        run["partition_date"],
        "range",
        "amount",
        1,
    )
    assert line["share_of_night"] == pytest.approx(1 / run["rows_source"])
    assert (line["example_id"], line["example"]) == (bad["id"], bad["content"])
    assert bad["id"] not in warehouse.scores["id"]


@pytest.mark.slow
def test_which_model_flagged_it(warehouse: Example) -> None:
    (line,) = warehouse.ask("Which model flagged it?")
    worst = warehouse.tonight.filter("is_flagged").sort("rank", "id").row(0, named=True)
    run = warehouse.runs.row(by_predicate=pl.col("run_id") == worst["run_id"], named=True)
    version = pl.col("version") == worst["model_version"]
    model = warehouse.tables["models"].row(by_predicate=version, named=True)
    promotion = warehouse.tables["promotions"].row(by_predicate=version, named=True)
    assert line == {
        **{key: worst[key] for key in ("partition_date", "entity", "id", "score", "model_version")},
        **{key: run[key] for key in ("threshold", "threshold_rule")},
        **{key: model[key] for key in ("architecture", "known_frauds")},
        "trained_from": model["first_date"],
        "trained_to": model["last_date"],
        **{key: promotion[key] for key in ("effective_from", "promoted_by", "why")},
    }
    assert line["score"] >= line["threshold"]


@pytest.mark.slow
def test_which_version_was_champion_when(warehouse: Example) -> None:
    first, second = warehouse.tables["promotions"].sort("promoted_at").iter_rows(named=True)
    expected = [
        {name: promotion[name] for name in ("version", "effective_from", "promoted_at", "promoted_by", "why")}
        for promotion in (first, second)
    ]
    assert warehouse.ask("Which version was champion when?") == [
        expected[0] | {"last_date": LAST - timedelta(days=1), "nights": 2, "nights_of_others": 0},
        expected[1] | {"last_date": None, "nights": 1, "nights_of_others": 0},
    ]
    before = "Which version was champion when?", second["promoted_at"] - timedelta(microseconds=1)
    assert [(line["version"], line["last_date"]) for line in warehouse.ask(*before)] == [
        (first["version"], None)
    ]


@pytest.mark.slow
def test_amount_at_risk_by_terminal(warehouse: Example) -> None:
    flagged = warehouse.tonight.filter("is_flagged")
    details = pl.DataFrame([json.loads(text) for text in flagged["details"]])
    by_terminal = (
        flagged.with_columns(details["amount"].round(2), terminal=details["terminal_id"].cast(pl.String))
        .group_by("terminal")
        .agg(pl.len(), pl.col("entity").n_unique(), pl.col("amount").sum().round(2), pl.col("p_value").min())
        .sort(["amount", "terminal"], descending=[True, False])
        .head(20)
    )
    answer = warehouse.ask("How much money is at risk, and at which terminals?")
    assert [
        (*list(line.values())[:3], float(line["amount_at_risk"]), line["least_p_value"]) for line in answer
    ] == by_terminal.rows()


@pytest.mark.slow
def test_frauds_that_nobody_could_have_caught(warehouse: Example) -> None:
    missed = warehouse.labelled.filter(pl.col("label") & ~pl.col("is_flagged") & (pl.col("p_value") > 0.05))
    answer = {line["id"]: line for line in warehouse.ask("Which frauds could nobody have caught?")}
    assert set(answer) == set(missed["id"])
    assert missed.height > 0
    for row in missed.iter_rows(named=True):
        night = warehouse.scores.filter(pl.col("partition_date") == row["partition_date"])
        assert answer[row["id"]]["share_before"] == pytest.approx((night["score"] > row["score"]).mean())
    shares = [line["share_before"] for line in answer.values()]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.slow
def test_which_of_two_versions_was_better(warehouse: Example) -> None:
    (line,) = warehouse.ask("Which of two versions was better?")
    night = warehouse.tables["score_rows"].filter(pl.col("partition_date") == LAST)
    other = night.join(warehouse.runs.select("run_id"), on="run_id", how="anti").select(
        "id", "model_version", other="is_flagged"
    )
    both = warehouse.labelled.join(other, on="id", suffix="_other")
    own, others, fraud = both["is_flagged"], both["other"], both["label"]
    assert (line["partition_date"], line["rows"]) == (LAST, both.height)
    assert (
        [line["model_version"]]
        == both["model_version"].unique().to_list()
        != other["model_version"].unique().to_list()
    )
    assert [line["other_version"]] == other["model_version"].unique().to_list()
    counted = ("flagged", "other_flagged", "flagged_by_both", "frauds_gained", "frauds_lost")
    found = (own, others, own & others, own & fraud & ~others, others & fraud & ~own)
    assert [line[name] for name in counted] == [flags.sum() for flags in found]
    assert line["precision"] == pytest.approx((own & fraud).sum() / own.sum())
    assert line["other_precision"] == pytest.approx((others & fraud).sum() / others.sum())
    windows = [
        set(pl.date_range(row["first_date"], row["last_date"], eager=True))
        for row in warehouse.tables["models"].iter_rows(named=True)
        if row["version"]
        in (line["model_version"], line["other_version"])  # others lack label-derived features
    ]
    assert len(windows) == 2
    assert line["training_days_shared"] == len(windows[0] & windows[1]) > 0
