"""Whole nights on deliveries that public bug reports describe, each beside the same data in plain form."""

import os
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import duckdb
import polars as pl
import pytest

from flows.catch_up import score_missed
from flows.errors import SettingsError
from flows.evaluation import evaluate_nights
from flows.nightly import score_night
from flows.settings import load_settings
from tasks.core.errors import NightError, SourceError, WarehouseError
from tasks.labels.label_file import record_labels
from tasks.publishing import publish
from tasks.scoring import score
from tasks.scoring.drift_profile import Profiler
from tasks.source import connection
from tasks.source.ingest import read_partition

NIGHT = date(2024, 3, 10)
MODEL = (
    "hidden = [8, 3, 8]"  # of all deliveries; without a score, half of a night's time goes into choosing one
)
pytestmark = pytest.mark.slow
Deliver = Callable[..., Path]


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of the scripts that write the deliveries."""
    folder = Path(os.environ.get("NIGHTSCORE_CASES", Path(__file__).parents[3] / "shared" / "cases"))
    if not folder.is_dir():
        pytest.skip(f"no deliveries at {folder}; set NIGHTSCORE_CASES to run this test")
    return folder


@pytest.fixture(scope="module")
def deliver(cases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deliver]:
    """Runs a script that writes deliveries into a folder, by default a new one; returns the folder.

    score: of the model; None for the default, which is chosen by known frauds.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(cases))

        def run(
            name: str, *arguments: str, folder: Path | None = None, score: str | None = "whitened"
        ) -> Path:
            folder = folder or tmp_path_factory.mktemp(name)
            patch.setattr(sys, "argv", [name, str(folder), *arguments])
            runpy.run_path(str(cases / f"{name}.py"))
            if score is not None:
                set_score(folder, score)
            return folder

        yield run
    sys.modules.pop("base", None)


def set_score(folder: Path, score: str) -> None:
    for config in folder.rglob("*.toml"):
        text = config.read_text(encoding="utf-8")
        if "score =" not in text:
            assert MODEL in text
            config.write_text(text.replace(MODEL, f'{MODEL}\nscore = "{score}"'), encoding="utf-8")


@pytest.fixture(scope="module")
def windows(deliver: Deliver) -> Path:
    """Deliveries with one bad day in the training window; beside them `twin`, which lacks that day."""
    folder = deliver("bad_day_in_window")
    copytree(folder / "no_label", folder / "twin")
    (folder / "twin" / "data" / "date=2024-03-05" / "part-0.parquet").unlink()
    night(folder / "twin")
    return folder


@pytest.fixture(scope="module")
def look_backs(deliver: Deliver) -> Path:
    """Deliveries with a strange day in the look-back; beside them `twin`, which lacks that day."""
    folder = deliver("lookback")
    copytree(folder / "clean", folder / "twin")
    (folder / "twin" / "data" / "date=2024-03-09" / "part-0.parquet").unlink()
    night(folder / "clean")
    night(folder / "twin")
    return folder


def night(folder: Path, day: date = NIGHT) -> dict[str, Any]:
    """The figures of one night, and what its training left out."""
    with chdir(folder):
        found = asdict(score_night(folder / "nightscore.toml", day))
        model = rows(folder, "select known_frauds, rows from models")[-1]
    return {**{name: value for name, value in found.items() if name.startswith("rows")}, "trained": model}


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "nightscore.duckdb"), read_only=True) as con:
        name = load_settings(folder / "nightscore.toml").name
        con.execute(f"use nightscore.{name}")
        return con.execute(query).fetchall()


def scores(folder: Path) -> list[tuple[Any, ...]]:
    return rows(folder, "select id, entity, score, is_flagged from scores order by id")


def test_a_view_that_orders_its_rows_anew_at_each_read(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.DUCKDB_CONFIG, "threads", 4)
    folder = deliver("grouped_view")
    config = folder / "nightscore.toml"
    config.write_text(config.read_text().replace("batch_size = 128", "batch_size = 4096"))
    found = night(folder)
    assert (found["rows_source"], found["rows_quarantined"]) == (100_000, 200)
    with duckdb.connect(str(folder / "bank.duckdb"), read_only=True) as con:
        bad = con.execute(f"select id::varchar from tx where d = date '{NIGHT}' and amount < 0 order by 1")
        expected = [row_id for (row_id,) in bad.fetchall()]
    assert [row_id for (row_id,) in rows(folder, "select id from quarantined order by 1")] == expected
    assert rows(folder, "select count(*) from scores semi join quarantined using (id)") == [(0,)]
    settings = load_settings(folder / "nightscore.toml")
    assert len({read_partition(settings, NIGHT).fingerprint for _ in range(6)}) == 1
    assert score_night(folder / "nightscore.toml", NIGHT).status == "already committed"
    evaluated, _ = evaluate_nights(folder / "nightscore.toml", NIGHT, NIGHT, date(2024, 3, 12))
    assert evaluated.rows == 99_800


def test_ids_that_are_floats_on_one_day(deliver: Deliver) -> None:
    folder = deliver("float_ids", score=None)
    clean, floats = night(folder / "clean"), night(folder / "night")
    assert floats == clean | {"rows_scored": 1_199, "rows_quarantined": 1}  # one row has no id
    by_id = {row[0]: row for row in scores(folder / "clean")}
    assert all(by_id[row[0]] == row for row in scores(folder / "night"))
    warehouse = load_settings(folder / "night" / "nightscore.toml").open_warehouse()
    recorded = record_labels(warehouse, folder / "night" / "chargebacks.csv")
    assert (recorded.added, recorded.unknown) == (20, 0)


def test_known_frauds_of_a_day_with_float_ids_are_left_out(deliver: Deliver) -> None:
    folder = deliver("float_ids")
    old = folder / "old_day" / "data" / "date=2024-03-05" / "part-0.parquet"
    floats = night(folder / "old_day")
    twin = folder / "clean"
    frame = pl.read_parquet(old).with_columns(pl.col("id").cast(pl.Int64))
    frame.write_parquet(twin / "data" / "date=2024-03-05" / "part-0.parquet")
    assert floats == night(twin)
    assert floats["trained"] == (100, 5_899)
    assert scores(folder / "old_day") == scores(twin)


def test_a_night_delivered_again_in_another_order(deliver: Deliver) -> None:
    folder = deliver("reordered")
    first = night(folder)
    assert (first["rows_source"], first["rows_quarantined"]) == (1_203, 15)
    before = scores(folder), rows(folder, "select * exclude (run_id) from quarantine order by all")
    deliver("reordered", "reorder", folder=folder)
    with chdir(folder):
        assert score_night(folder / "nightscore.toml", NIGHT).status == "already committed"
        evaluate_nights(folder / "nightscore.toml", NIGHT, NIGHT, date(2024, 3, 12))
        assert score_night(folder / "nightscore.toml", NIGHT, force=True).status == "committed"
    run = rows(folder, "select run_id from current_runs")[0][0]
    after = rows(folder, f"select * exclude (run_id) from quarantine where run_id = '{run}' order by all")
    assert (scores(folder), after) == before
    assert score_night(folder / "nightscore.toml", NIGHT + timedelta(days=1)).status == "committed"


def test_a_night_killed_after_its_gate_and_delivered_again_in_another_order(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deliver("reordered")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tasks.training.train.train", killed)
        with pytest.raises(KeyboardInterrupt):
            night(folder)
    deliver("reordered", "reorder", folder=folder)
    found = night(folder)
    assert (found["rows_scored"], found["rows_quarantined"]) == (1_188, 15)
    assert rows(
        folder, "select count(*) from scores semi join (from quarantined where copy = 0) using (id)"
    ) == [(0,)]
    bad = rows(folder, "select count(*) from quarantined where content like '%\"amount\":null%'")
    assert bad == [(12,)]


@pytest.mark.parametrize("name", ["empty", "truncated", "wrong_type", "no_label", "missing_column"])
def test_a_bad_day_of_the_training_window_is_left_out(
    windows: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = night(windows / name)
    messages = [record.getMessage() for record in caplog.records]
    left_out = [message for message in messages if "left out of the training" in message]
    assert [message[:10] for message in left_out] == ["2024-03-05"]
    assert found["trained"] == (80, 4_720)
    assert scores(windows / name) == scores(windows / "twin")


def test_a_row_whose_label_is_no_label_is_not_learnt_as_normal(windows: Path) -> None:
    assert night(windows / "strange_label")["trained"] == (80, 5_900)


@pytest.mark.parametrize(
    ("name", "is_left_out"),
    [
        ("amount_text", True),
        ("truncated", True),
        ("no_card", True),
        ("ts_text", True),
        ("float_ids", False),
        ("text_ids", False),
        ("float_card", False),
    ],
)
def test_yesterday_in_the_look_back(
    look_backs: Path, name: str, is_left_out: bool, caplog: pytest.LogCaptureFixture
) -> None:
    night(look_backs / name)
    messages = [record.getMessage() for record in caplog.records]
    left_out = [message for message in messages if "look-back leaves out 2024-03-09 (" in message]
    assert len(left_out) == is_left_out
    assert scores(look_backs / name) == scores(look_backs / ("twin" if is_left_out else "clean"))


def test_a_feature_that_is_constant_but_for_rounding(deliver: Deliver) -> None:
    folder = deliver("near_constant")
    assert night(folder / "rounded") == night(folder / "exact")


def test_more_than_half_of_the_window_left_out_trains_nothing(deliver: Deliver) -> None:
    folder = deliver("bad_day_in_window") / "empty"
    for day in ("2024-03-03", "2024-03-04"):
        path = folder / "data" / f"date={day}" / "part-0.parquet"
        pl.read_parquet(path).head(0).write_parquet(path)
    with pytest.raises(
        Exception, match=r"3 of 5 dates of the training window are left out: 2024-03-03 .*03-04 .*03-05"
    ):
        night(folder)


def test_a_scored_row_in_the_place_of_a_refused_one_is_not_committed(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deliver("reordered")
    stage = publish.stage_night

    def swapped(dataset: Any, features: Any, scored: Any, *others: Any, **named: Any) -> Any:
        """One scored row gets the id of a refused one, and the other way round; every count stays."""
        refused = pl.read_parquet(features.validated.refused)
        bad = refused.filter(pl.col("copy") == 0)["id"][0]
        rows = pl.read_parquet(scored.path)
        good = rows["id"][0]
        rows.with_columns(pl.col("id").replace(good, bad)).write_parquet(scored.path)
        refused.with_columns(pl.col("id").replace(bad, good)).write_parquet(features.validated.refused)
        return stage(dataset, features, scored, *others, **named)

    monkeypatch.setattr(publish, "stage_night", swapped)
    with pytest.raises(WarehouseError, match="are not the 1,203 rows of the gate"):
        night(folder)
    assert rows(folder, "select status from runs") == [("failed",)]
    assert rows(folder, "select count(*) from score_rows") == [(0,)]


def test_a_night_whose_source_changes_while_it_is_scored_is_not_committed(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deliver("near_constant") / "exact"
    path = folder / "data" / f"date={NIGHT}" / "part-0.parquet"
    frame, profile = pl.read_parquet(path), Profiler.write

    def deliver_again(changed: pl.DataFrame) -> None:
        def write(self: Profiler, threshold: float, to: Path) -> Path:
            changed.write_parquet(path)
            return profile(self, threshold, to)

        monkeypatch.setattr(Profiler, "write", write)

    deliver_again(frame.with_columns(pl.col("mcc") + 1))
    with pytest.raises(SourceError, match=f"{NIGHT}: the source changed while the night was scored"):
        night(folder)
    assert rows(folder, "select status from runs") == [("failed",)]
    frame.write_parquet(path)
    deliver_again(frame.reverse())  # the same rows in another order
    assert night(folder)["rows_scored"] == 1_200


def test_what_fails_after_the_commit_is_a_warning(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no such thing")

    folder = deliver("near_constant") / "exact"
    monkeypatch.setattr("tasks.monitoring.drift.measure_drift", fails)
    found = night(folder)
    assert (found["rows_scored"], rows(folder, "select status from runs")) == (1_200, [("committed",)])
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    expected = (
        f"{NIGHT}  drift      failed: no such thing; the night is committed, and the next run of the date"
    )
    assert [message for message in warned if message.startswith(expected)]
    monkeypatch.undo()
    assert score_night(folder / "nightscore.toml", NIGHT).status == "already committed"


def test_a_feature_that_is_null_all_night_is_named(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    folder = deliver("near_constant") / "exact"
    path = folder / "data" / f"date={NIGHT}" / "part-0.parquet"
    nothing = {"rate": pl.lit(None, pl.Float64), "channel": pl.lit(None, pl.String)}
    pl.read_parquet(path).with_columns(**nothing).write_parquet(path)
    night(folder)
    ((message,),) = rows(folder, "select message from runs")
    for name in nothing:
        assert f"feature {name} is null in all 1,200 rows" in message
        assert f"feature {name} is null in all 1,200 rows" in caplog.text


def test_odd_labels_and_weights_are_scored_and_noted(deliver: Deliver) -> None:
    folder = deliver("near_constant") / "exact"
    config = folder / "nightscore.toml"
    config.write_text(config.read_text().replace('label = "fraud"', 'label = "fraud"\nweight = "weight"'))
    days = [NIGHT - timedelta(days=ago) for ago in range(9)]
    for day in days:
        path = folder / "data" / f"date={day}" / "part-0.parquet"
        number = pl.int_range(pl.len())
        frame = pl.read_parquet(path).with_columns(
            pl.when(number < 4).then(pl.lit([float("nan"), float("inf"), -1.0, None])
            .list.get(number % 4)).otherwise(1.0).alias("weight"),
            pl.when(number.is_between(7, 8)).then(7).otherwise(pl.col("fraud")).alias("fraud"),
        )  # fmt: skip
        frame.write_parquet(path)
    found = night(folder)
    assert (found["rows_scored"], found["rows_quarantined"]) == (1_200, 0)
    ((message,),) = rows(folder, "select message from runs")
    assert "2 values of the label column fraud are no label, such as '7'" in message
    assert "4 values of the weight column weight are no weight" in message
    judged = evaluate_nights(config, NIGHT, NIGHT, date(2024, 3, 12))[0]
    assert "6 scored rows have no label" in judged.notes[0]
    assert (found["trained"][0], found["trained"][1]) == (95, 5_895)  # the fraud in row 7 has no label now


def test_private_features_are_masked_in_the_reasons(deliver: Deliver) -> None:
    folder = deliver("near_constant") / "exact"
    config = folder / "nightscore.toml"
    config.write_text(config.read_text().replace('label = "fraud"', 'label = "fraud"\nprivate = ["amount"]'))
    night(folder)
    reasons = rows(folder, "select unnest(reasons, recursive := true) from scores where reasons is not null")
    assert {feature for feature, *_ in reasons} >= {"amount", "velocity"}
    for feature, _, observed, expected, _, usual in reasons:
        assert (observed == "***") == (expected == "***") == (usual == "***") == (feature == "amount")
    assert "amount ***" in str(rows(folder, "select because from alerts"))


def test_rows_that_change_between_gate_and_scoring_are_named(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deliver("near_constant") / "exact"
    path = folder / "data" / f"date={NIGHT}" / "part-0.parquet"
    frame, load = pl.read_parquet(path), score.load

    def loaded(*arguments: Any) -> Any:
        frame.with_columns(id=pl.col("id").replace(frame["id"][0], 7)).write_parquet(path)
        return load(*arguments)

    monkeypatch.setattr(score, "load", loaded)
    named = f"{NIGHT}: the 1,200 rows that were read are not the 1,200 that passed the gate"
    with pytest.raises(NightError, match=named):
        night(folder)
    assert rows(folder, "select count(*) from score_rows") == [(0,)]


@pytest.mark.parametrize("name", ["apple_double", "in_progress", "underscore", "tmp_folder"])
def test_files_whose_names_are_hidden_are_no_data(deliver: Deliver, name: str) -> None:
    found = night(deliver("hidden_files") / name)
    assert (found["rows_scored"], found["rows_quarantined"], found["trained"][0]) == (1_200, 0, 100)


@pytest.mark.parametrize("name", ["dirs", "files", "root"])
def test_links_are_followed(deliver: Deliver, name: str) -> None:
    folder = deliver("symlinks") / name
    found = night(folder)
    assert (found["rows_scored"], found["rows_quarantined"], found["trained"][0]) == (1_200, 0, 100)
    with chdir(folder):
        assert [each.date for each in score_missed(folder / "nightscore.toml")] == [
            NIGHT + timedelta(days=1),
            NIGHT + timedelta(days=2),
        ]


def test_folders_and_files_with_the_characters_of_patterns_are_names(
    deliver: Deliver, tmp_path: Path
) -> None:
    plain = deliver("hidden_files") / "underscore"
    (plain / "data" / f"date={NIGHT}" / "_part-0.parquet").unlink(missing_ok=True)
    odd = tmp_path / "[FRD-12] a*b: Müller's {x} cards"
    copytree(
        plain,
        odd,
        ignore=lambda folder, names: [name for name in names if name.startswith("nightscore.duck")],
    )
    (day,) = (odd / "data" / f"date={NIGHT}").glob("*.parquet")
    rows_of_day = pl.read_parquet(day, glob=False)
    day.unlink()
    rows_of_day.head(500).write_parquet(day.parent / "part1.parquet")
    rows_of_day.tail(-500).write_parquet(day.parent / "part[1].parquet")
    config = odd / "nightscore.toml"
    config.write_text(config.read_text().replace("{date}/*.parquet", "{date}/*.parquet"))
    expected, found = night(plain), night(odd)
    assert found == expected
    assert scores(odd) == scores(plain)


def test_names_are_compared_as_duckdb_compares_them_and_reserved_ones_are_refused(deliver: Deliver) -> None:
    folder = deliver("names")
    for name in ("main", "MAIN", "pg_catalog", "information_schema", "own_main", "own_pg_catalog"):
        with pytest.raises(SettingsError, match="is a name that DuckDB keeps for itself; choose another"):
            load_settings(folder / f"{name}.toml")
    assert score_night(folder / "Cards.toml", NIGHT).status == "committed"
    with pytest.raises(
        WarehouseError, match="holds a dataset Cards, and DuckDB takes cards for the same name"
    ):
        score_night(folder / "cards.toml", NIGHT)
    assert score_night(folder / "temp.toml", NIGHT).rows_scored == 1_200
