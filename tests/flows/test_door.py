"""`import nightscore`: a frame gets the figures of the night, of whatever kind it is."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from banks import NIGHT, Bank
from detectors import FRAUDS, NASTY, NORMAL, images, photographs, tabular
from polars.testing import assert_frame_equal

import nightscore as ns
from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import FeatureSettings
from tasks.core.errors import EvaluationError, FrameRefused, NoChampion
from tasks.features.frames import read_frame

README = Path(__file__).parents[2] / "README.md"
KINDS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": pl.DataFrame,
    "pandas": lambda frame: frame.to_pandas().set_index(pd.RangeIndex(5, 5 + frame.height)),
    "arrow": lambda frame: frame.to_arrow(),
}
FEATURES = FeatureSettings(numeric=("a", "b", "c", "d", "noise"), categorical=(NASTY,))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_champion_gives_a_frame_the_figures_of_the_night_to_the_last_bit(
    scored_bank_template: Bank, kind: str
) -> None:
    bank = scored_bank_template
    night = ns.scores(bank.config, NIGHT).sort("id")
    rows = KINDS[kind](pl.read_parquet(bank.day_folder(NIGHT)))
    champion = ns.load(str(bank.config)).champion()
    scored, explained = champion.score(rows), champion.explain(rows)
    assert type(scored) is type(explained) is type(rows)
    if isinstance(rows, pd.DataFrame):
        assert scored.index.equals(rows.index)
    found = pl.DataFrame(scored).sort("id")
    assert found.columns == ["id", "error", "score", "p_value", "is_flagged"]
    assert_frame_equal(found, night.select(found.columns), check_exact=True)
    reasons = night.select("id", "reasons").filter(pl.col("reasons").is_not_null())
    assert reasons.height > 10
    of_frame = pl.DataFrame(explained).filter(pl.col("id").is_in(reasons["id"].implode())).sort("id")
    assert of_frame["reasons"].to_list() == reasons["reasons"].to_list()


@pytest.mark.slow
def test_a_champion_and_a_night_that_are_not_there_are_named(scored_bank_template: Bank) -> None:
    dataset = ns.load(scored_bank_template.config)
    with pytest.raises(NoChampion, match="train --as-of"):
        dataset.champion("2025-01-01")
    with pytest.raises(EvaluationError, match="2025-01-01: no night is committed"):
        dataset.scores("2025-01-01")


@pytest.mark.slow
def test_a_detector_without_a_warehouse_is_fitted_saved_and_read_back(tmp_path: Path) -> None:
    training = {"epochs": 2, "batch_size": 64}
    detector = ns.Detector(["a", "b"], [NASTY], model={"score": "error"}, training=training)
    rows = NORMAL[:300].to_pandas()
    fitted = detector.fit(rows, frauds=FRAUDS)
    fitted.save(tmp_path / "detector")
    read_back = ns.Detector.load(tmp_path / "detector")
    pd.testing.assert_frame_equal(read_back.score(rows), fitted.score(rows), check_exact=True)
    assert list(fitted.explain(rows, top=1)["reasons"].map(len)) == [1] * 300
    assert fitted.score(rows, threshold={"strategy": "budget", "value": 7})["is_flagged"].sum() == 7
    assert fitted.score(NORMAL[:0]).columns == ["error", "score", "p_value", "is_flagged"]


@pytest.mark.slow
def test_values_count_as_in_a_night_whatever_their_type_is() -> None:
    fitted, rows = ns.FittedDetector(tabular(), FEATURES), NORMAL[:50]
    texts = rows.with_columns(pl.col("a", "noise").cast(pl.String), pl.col(NASTY).cast(pl.Categorical))
    assert_frame_equal(fitted.score(texts), fitted.score(rows), check_exact=True)
    numbers = [rows.with_columns(pl.lit(value).alias(NASTY)) for value in (7, 7.0, "7")]
    first, *others = [fitted.explain(each, top=6) for each in numbers]
    assert "'7'" in str(first["reasons"].to_list())
    for other in others:
        assert_frame_equal(other, first, check_exact=True)


def test_instants_become_text_in_the_zone_of_the_source() -> None:
    features, instant = FeatureSettings(categorical=("at",)), datetime(2026, 1, 2, 23, 30, tzinfo=UTC)
    rows = pl.DataFrame({"at": [instant]})
    texts = [read_frame(rows, features, timezone=zone).features["at"][0] for zone in ("UTC", "Europe/Berlin")]
    assert texts == ["2026-01-02 23:30:00+00", "2026-01-03 00:30:00+01"]


@pytest.mark.slow
def test_images_are_scored_as_by_the_detector_itself() -> None:
    rows, image = photographs(8, seed=4), images().encoder.image
    assert image
    fitted = ns.FittedDetector(images(), FeatureSettings(image=image.image))
    assert (fitted.score(rows)["score"].to_numpy() == images().score(rows).score).all()
    assert len(fitted.explain(rows.to_pandas())["reasons"][0]) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (NORMAL.drop("a", "b"), r"the frame lacks a, b; it must have the features: a, b, c, d, noise, "),
        (NORMAL.with_columns(a=pl.lit("much")), "the frame: .*'much'.*; convert the column"),
        ([1, 2], "a frame is of polars, pandas or Arrow; got list"),
        (pd.DataFrame({"a": [1, "x"]}), "the frame cannot be read: .*; mend its columns"),
    ],
)
def test_a_frame_that_cannot_be_scored_is_refused_in_one_line(frame: Any, message: str) -> None:
    with pytest.raises(FrameRefused, match=message) as refusal:
        ns.FittedDetector(tabular(), FEATURES).score(frame)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": {"hiden": [3]}, "training": {}}, "hiden: Extra inputs are not permitted"),
        ({"training": {"epochs": 0}}, "epochs: Input should be greater than or equal to 1"),
        ({"numeric": ()}, "Value error, name at least one numeric or categorical feature, or an image"),
    ],
)
def test_a_wrong_key_is_a_value_error_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        ns.Detector(**({"numeric": ["a"]} | settings))


@pytest.mark.slow
def test_values_of_private_features_are_masked_in_reasons_and_refusals() -> None:
    columns = ColumnSettings(id="id", private=("a", "noise"))
    fitted = ns.FittedDetector(tabular(), FEATURES, columns=columns)
    reasons = fitted.explain(NORMAL[:5], top=6)["reasons"].explode().struct.unnest()
    masked = pl.col("feature").is_in(["a", "noise"])
    assert set(reasons.filter(masked)["observed"]) == {"***"}
    assert "***" not in set(reasons.filter(~masked)["observed"])
    with pytest.raises(FrameRefused, match=r"'\*\*\*'"):
        fitted.score(NORMAL[:1].with_columns(a=pl.lit("secret")))


@pytest.mark.slow
def test_the_lines_of_the_readme_run(scored_bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(scored_bank.folder)
    exec(lines.replace("2018-07-25", str(NIGHT)), {})


def test_it_has_the_names_that_it_lists_and_no_others() -> None:
    assert [name for name in dir(ns) if not hasattr(ns, name)] == []
    with pytest.raises(AttributeError, match="module 'nightscore' has no attribute 'laod'"):
        ns.laod  # noqa: B018


def test_it_starts_without_what_is_slow_and_as_a_module_is_the_command(tmp_path: Path) -> None:
    heavy = "{'tensorflow', 'keras', 'sklearn', 'scipy', 'pandas', 'prefect', 'polars'}"
    code = f"import sys, nightscore; print(nightscore.__version__, *{heavy} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    def printed(*words: str) -> str:
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert printed("-c", code) == f"{ns.__version__}\n"
    assert printed("-m", "nightscore", "--version") == f"nightscore {ns.__version__}\n"


@pytest.mark.parametrize("name", ["tasks", "models", "sql"])
def test_another_package_in_the_place_of_ours_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").touch()
    command = [sys.executable, "-m", "nightscore", "--version"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"nightscore: {tmp_path / name}.py is found as Python's package {name}")
    assert ended.stderr.count("\n") == 1
