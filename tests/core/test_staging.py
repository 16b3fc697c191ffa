"""Folders of staged work: a full disk is named, and nobody waits for ever."""

import errno
import os
from datetime import date
from pathlib import Path

import pytest

from tasks.core import staging
from tasks.core.errors import DiskFull, StillRunning
from tasks.core.staging import naming_full_disk, night_folder

DAY = date(2024, 3, 10)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("name", [None, "/disk/part.parquet"])
def test_a_full_disk_is_named_with_date_and_place(tmp_path: Path, code: int, name: str | None) -> None:
    with pytest.raises(DiskFull) as caught, naming_full_disk(DAY, tmp_path):
        raise OSError(code, os.strerror(code), name)
    place = name or tmp_path
    assert str(caught.value) == f"{DAY}: {place}: no space left on device; make some space and run again"


def test_what_earlier_steps_have_staged_outlives_a_full_disk(tmp_path: Path) -> None:
    kept = tmp_path / "staging" / str(DAY) / "validate.json"

    def fill_the_disk() -> None:
        with night_folder(tmp_path, DAY), naming_full_disk(DAY, tmp_path):
            kept.write_text("{}")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFull):
        fill_the_disk()
    assert kept.is_file()


def test_nobody_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "WAIT_HOURS", 1e-5)
    with (
        night_folder(tmp_path, DAY),
        pytest.raises(StillRunning, match=rf"{DAY}: process {os.getpid()} on "),
        night_folder(tmp_path, DAY),
    ):
        pass
