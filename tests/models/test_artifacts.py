import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from models.detector.artifacts import load, save
from models.detector.calibration import Normality
from models.detector.detector import Detector, train
from models.detector.manifest import sha256_of
from models.detector.neighbours import NO_SPACING
from models.errors import ArtifactError
from models.settings import ModelSettings, TrainingSettings

pytestmark = pytest.mark.slow

FILES = ["calibration.parquet", "detector.json", "network_0.keras", "network_1.keras", "samples.parquet"]


def rows(count: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        random.normal(size=(count, 3)) @ random.normal(size=(3, 4)), schema=["a", "b", "c", "d"]
    ).with_columns(
        kind=pl.Series(random.choice(["x", "y", None], count).tolist()),
        a=pl.Series(random.choice([0.0, None, 2.0], count).tolist()),
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    return train(
        rows(1_500, seed=1),
        ["a", "b", "c", "d"],
        ["kind"],
        ModelSettings(hidden=(8, 3, 8), members=2),
        TrainingSettings(epochs=2),
    )


@pytest.fixture
def stored(detector: Detector, tmp_path: Path) -> tuple[Path, str]:
    return tmp_path / "versions" / "v1", save(detector, tmp_path / "versions" / "v1")


def test_a_reloaded_detector_is_the_same(detector: Detector, stored: tuple[Path, str]) -> None:
    again, frame = load(*stored), rows(700, seed=2)
    assert (again.score(frame).score == detector.score(frame).score).all()
    assert (again.score(frame).error == detector.score(frame).error).all()
    assert (again.p_values(again.score(frame).score) == detector.p_values(detector.score(frame).score)).all()
    assert again.reasons(frame).equals(detector.reasons(frame))
    for name in ("training", "held_out", "anomalies"):
        assert (getattr(again.samples, name) == getattr(detector.samples, name)).all()
    assert again.calibration.normals == detector.calibration.normals
    for name in ("encoder", "settings", "parts", "training", "history", "device"):
        assert getattr(again, name) == getattr(detector, name)


@pytest.mark.parametrize(
    ("number", "later"), [(1, [each.name for each in fields(Normality) if each.kw_only]), (2, ["tails"])]
)
def test_a_folder_of_an_earlier_format_scores_without_what_came_later(
    detector: Detector, tmp_path: Path, number: int, later: list[str]
) -> None:
    """In the first format the calibration has the moments alone: a far row has no term for its distance."""
    folder, frame = tmp_path / "v0", rows(50, seed=2).with_columns(b=pl.lit(1e4))
    settings = detector.settings.model_copy(update={"score": "whitened"})
    whitened = replace(detector, settings=settings, parts=("whitened",))
    save(whitened, folder)
    stored = pl.read_parquet(folder / "calibration.parquet")
    stored.filter(~pl.col("name").is_in(later)).write_parquet(folder / "calibration.parquet")
    description = json.loads((folder / "detector.json").read_text()) | {"format": number, "parts": None}
    (folder / "detector.json").write_text(json.dumps(description))
    listed = {name: sha256_of(folder / name) for name in FILES}
    (folder / "manifest.json").write_text(json.dumps(listed))
    weight = np.float32(0) if "far_weight" in later else detector.calibration.far_weight
    earlier = replace(whitened, calibration=replace(whitened.calibration, far_weight=weight))
    assert (load(folder).score(frame).score == earlier.score(frame).score).all()
    assert (earlier.score(frame).score < whitened.score(frame).score).all() == (number == 1)


@pytest.mark.parametrize(
    "other", [{"spacing": NO_SPACING}, {"logarithms": np.array([[0] * 4, [1] * 4, [2] * 4], np.float32)}]
)
def test_a_stored_detector_keeps_how_it_measures_distances(
    detector: Detector, tmp_path: Path, other: dict[str, NDArray[np.float32]]
) -> None:
    """One of an earlier format has neither spacing nor logarithms."""
    folder, frame = tmp_path / "v0", rows(50, seed=2)
    changed = replace(detector, calibration=replace(detector.calibration, **other))
    save(changed, folder)
    again = load(folder).score(frame).score
    assert (again == changed.score(frame).score).all()
    assert (again != detector.score(frame).score).any()


def test_a_stored_detector_keeps_the_parts_that_it_was_trained_with(
    detector: Detector, tmp_path: Path
) -> None:
    """Whatever the rule says that chooses them for a new one."""
    other = replace(detector, parts=("mae",))
    save(other, tmp_path / "v0")
    again, frame = load(tmp_path / "v0"), rows(50, seed=2)
    assert (again.score(frame).score == other.score(frame).score).all()
    assert (again.score(frame).score != detector.score(frame).score).any()


def test_the_folder_holds_only_the_files_that_the_manifest_lists(stored: tuple[Path, str]) -> None:
    folder, _ = stored
    assert sorted(json.loads((folder / "manifest.json").read_text())) == FILES
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "manifest.json"])
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_a_missing_or_changed_file_is_refused_by_its_name(
    name: str, harm: str, stored: tuple[Path, str]
) -> None:
    folder, sha256 = stored
    if harm == "missing":
        (folder / name).unlink()
    else:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=rf"{name} is .*nightscore train --as-of"):
        load(folder, sha256)


def test_another_fingerprint_is_refused(stored: tuple[Path, str]) -> None:
    with pytest.raises(ArtifactError, match=r"manifest\.json is not the one that was written"):
        load(stored[0], "0" * 64)


@pytest.mark.parametrize("content", ["", "[]", "{}", "3"])
def test_an_invalid_manifest_is_refused(content: str, stored: tuple[Path, str]) -> None:
    (stored[0] / "manifest.json").write_text(content)
    with pytest.raises(ArtifactError, match="manifest"):
        load(stored[0])


def test_a_stored_detector_is_never_overwritten(detector: Detector, stored: tuple[Path, str]) -> None:
    with pytest.raises(ArtifactError, match="already exists"):
        save(detector, stored[0])
    assert load(*stored).encoder == detector.encoder
