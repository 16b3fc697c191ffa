"""Standard output without a reader, without space, or in an encoding that lacks characters."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import streams


def opened(number: int, encoding: str = "utf-8") -> streams._Stream:
    return streams._Stream(open(number, "wb"), encoding=encoding, errors="replace")


def test_output_without_a_reader_is_dropped() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with opened(writer) as stream:
        for _ in range(3):
            assert stream.write("a line\n" * 10_000) == 70_000
            stream.flush()


def test_a_character_that_the_encoding_lacks_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with opened(os.open(path, os.O_WRONLY | os.O_CREAT), "ascii") as stream:
        stream.write("Müller ✓")
    assert path.read_text() == "M?ller ?"


def test_output_that_finds_no_space_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(os.open("/dev/full", os.O_WRONLY)) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        stream.write("a line\n")
        with pytest.raises(OSError, match="No space left on device: 'standard output'"):
            stream.flush()
        monkeypatch.setattr(sys, "stdout", io.StringIO())


@pytest.mark.parametrize(
    ("redirected", "status"), [("| head -0", 0), (">/dev/full", 1), (">&-", 0), ("2>&-", 0), (">&- 2>&-", 0)]
)
def test_a_command_ends_with_its_own_status(redirected: str, status: int) -> None:
    command = f"set -o pipefail; {sys.executable} -m flows.cli.app --help {redirected}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    lines = ["nightscore: No space left on device: standard output"] * status
    assert (ended.returncode, ended.stderr.splitlines()) == (status, lines)
