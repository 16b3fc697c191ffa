"""The store of artifacts: named by content, never half there, the same on a local folder, in memory and on
S3.
"""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from banks import NIGHT, Bank
from buckets import SECRET, s3_server

from flows.plain import nightly
from flows.settings import load_settings
from models.detector.manifest import MANIFEST, fingerprint, sha256_of
from models.errors import ArtifactError
from tasks.core.filesystem import filesystem_of
from tasks.operations.prune import prune
from tasks.registry.artifact_store import fetched, put, remove, root_of, verify
from tasks.registry.versions import find_version
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings

KINDS = ["local", "memory", pytest.param("s3", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server() as files:
        files.mkdir("models")
        yield "s3://models"


@pytest.fixture(params=KINDS)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    return str(tmp_path / "store") if request.param == "local" else f"memory://{tmp_path.name}"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """What a saved detector looks like from outside."""
    folder = tmp_path / "saved"
    folder.mkdir()
    files = [
        folder / name
        for name in ("detector.json", "calibration.parquet", "samples.parquet", "network_0.keras")
    ]
    for file in files:
        file.write_text(f"the content of {file.name}")
    (folder / MANIFEST).write_text(json.dumps({file.name: sha256_of(file) for file in files}))
    return folder


def test_what_comes_back_is_what_was_put_under_the_name_of_its_content(root: str, saved: Path) -> None:
    artifact = put(saved, root)
    assert artifact.path == f"{root}/{fingerprint(saved)}"
    verify(artifact.path, artifact.sha256)
    with fetched(artifact.path) as folder:
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            path.name: path.read_text() for path in saved.iterdir()
        }
    assert put(saved, root) == artifact


def test_a_half_written_artifact_is_refused_and_made_whole_by_the_next_put(root: str, saved: Path) -> None:
    artifact, files = put(saved, root), filesystem_of(root)
    files.pipe_file(f"{artifact.path}/{MANIFEST}", b"{")
    files.rm(f"{artifact.path}/detector.json")
    with pytest.raises(ArtifactError, match=MANIFEST):
        verify(artifact.path, artifact.sha256)
    verify(put(saved, root).path, artifact.sha256)


def test_a_file_that_was_changed_is_refused_by_name(root: str, saved: Path) -> None:
    artifact = put(saved, root)
    filesystem_of(root).pipe_file(f"{artifact.path}/network_0.keras", b"another")
    with pytest.raises(ArtifactError, match=r"network_0\.keras is not the file that was written"):
        verify(artifact.path, artifact.sha256)


def test_what_is_removed_is_gone_and_missed_in_one_line(root: str, saved: Path) -> None:
    artifact = put(saved, root)
    remove(artifact.path)
    remove(artifact.path)
    with pytest.raises(ArtifactError, match="train the version again") as refusal:
        verify(artifact.path, artifact.sha256)
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_a_night_whose_store_is_on_s3_gives_the_same_scores_and_prune_empties_it(
    scored_bank: Bank, bank: Bank, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bank.configure("[warehouse]", f'[warehouse]\nartifacts = "{bucket}/of a bank"')
    settings = load_settings(bank.config)
    assert nightly(bank.config, NIGHT).status == "committed"
    scores = "select id, error, score, p_value, rank, is_flagged, reasons from scores order by id"
    assert bank.table(scores).equals(scored_bank.table(scores))
    ((name, path),) = bank.table("select version, artifact_path from models").rows()
    assert path.startswith(f"{root_of(Warehouse(settings.warehouse, settings.name))}/")
    assert not list((settings.files / "models").iterdir())
    version = find_version(Warehouse(settings.warehouse, settings.name), name)
    assert version
    verify(version.path, version.sha256)
    assert SECRET not in caplog.text

    forget(settings.warehouse, settings.name)
    later = (datetime.now(UTC) + timedelta(days=400)).date()
    pruned = prune(Warehouse(settings.warehouse, settings.name), 90, later, scores=True, yes=True)
    (artifacts,) = [
        dropped for dropped in pruned.dropped if dropped.kind == "artifacts and cards of versions"
    ]
    assert artifacts.count == 2  # the artifact and its card
    assert not fsspec.filesystem("s3").find(f"{bucket}/of a bank", withdirs=False)


def forget(warehouse: WarehouseSettings, dataset: str) -> None:
    """Nobody needs the version any more."""
    Warehouse(warehouse, dataset).transact(lambda con: con.execute("delete from promotions"))
    Warehouse(warehouse, dataset).transact(lambda con: con.execute("update models set withheld = 'a test'"))
