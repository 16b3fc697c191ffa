"""Compiled graphs are kept for the next process, in a folder that only its user can write."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.graph_cache import DAYS, empty, flags, open_cache

SCORE = """
import numpy as np
from models.detector.batches import run
from models.device import tf
from models.graphs import Graph
sums = Graph(lambda rows: (tf.reduce_sum(rows, axis=1), rows))
for _ in range(2):
    print(run(sums, [np.ones((4, 3), np.float32)])[0].tolist())
"""


SCORES = 2 * "[3.0, 3.0, 3.0, 3.0]\n"


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def score() -> str:
    done = subprocess.run([sys.executable, "-c", SCORE], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.slow
def test_a_graph_is_kept_and_one_that_is_cut_off_is_compiled_again(cache_home: Path) -> None:
    assert score() == SCORES
    (entry,) = cache_home.rglob("*.pb")
    kept, written = entry.read_bytes(), entry.stat().st_mtime_ns
    assert score() == SCORES
    assert entry.stat().st_mtime_ns == written  # it was read
    entry.write_bytes(kept[: len(kept) // 2])
    assert score() == SCORES
    (again,) = cache_home.rglob("*.pb")
    assert again.stat().st_size > len(kept) // 2


def test_the_folder_is_the_users_alone_and_forgets_what_is_old(cache_home: Path) -> None:
    folder = open_cache()
    assert folder is not None
    assert (folder.stat().st_mode & 0o777, folder.is_relative_to(cache_home)) == (0o700, True)
    old, new = folder / "old.pb", folder / "new.pb"
    for entry in (old, new):
        entry.touch()
    os.utime(old, (0, time.time() - (DAYS + 1) * 86_400))
    assert open_cache() == folder
    assert (old.exists(), new.exists()) == (False, True)
    empty(folder)
    assert not new.exists()
    folder.chmod(0o770)
    assert open_cache() is None


def test_a_folder_that_cannot_be_used_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "a b"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        assert open_cache() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("models.graph_cache.LEAST_FREE", 1 << 60)
    assert open_cache() is None


def test_flags_of_the_environment_stay_and_ours_are_given_once() -> None:
    first = flags(Path("/cache"), "--tf_xla_auto_jit=1")
    assert first.startswith("--tf_xla_auto_jit=1 --tf_xla_persistent_cache_directory=/cache ")
    assert flags(Path("/cache"), first) == first
