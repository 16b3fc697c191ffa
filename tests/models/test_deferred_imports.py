"""A deferred module is executed once, at the first look at it, and seen by no thread before it is whole."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from types import ModuleType

import pytest

from models import deferred_imports

SLOW = """
import time
from pathlib import Path
with Path(__file__).with_name("executed").open("a") as counted:
    counted.write("x")
early = 1
from slow_module.part import double
time.sleep(0.05)
late = double(early)
"""


@pytest.fixture
def slow_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "slow_module"
    folder.mkdir()
    (folder / "__init__.py").write_text(SLOW)
    (folder / "part.py").write_text(
        "import slow_module\nassert slow_module.early\ndouble = lambda x: 2 * x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(deferred_imports, "DEFERRED", {"slow_module"})
    deferred_imports.defer_imports()
    yield folder
    for name in ("slow_module", "slow_module.part"):
        sys.modules.pop(name, None)


def test_it_is_executed_once_and_every_thread_sees_it_whole(slow_module: Path) -> None:
    module = importlib.import_module("slow_module")
    assert importlib.import_module("slow_module") is module
    assert not (slow_module / "executed").exists()
    start, found = Barrier(6), list[object]()

    def look() -> None:
        start.wait()
        try:
            from slow_module import late  # type: ignore[import-not-found]

            found.append(late)
        except ImportError as error:
            found.append(error)

    threads = [Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2] * 6
    assert (slow_module / "executed").read_text() == "x"
    assert type(module) is ModuleType


def test_one_that_fails_says_so_and_is_tried_again(slow_module: Path) -> None:
    text = (slow_module / "__init__.py").read_text()
    (slow_module / "__init__.py").write_text("raise ValueError('broken')")
    module = importlib.import_module("slow_module")
    with pytest.raises(ValueError, match="broken"):
        _ = module.late
    (slow_module / "__init__.py").write_text(text + "\n# mended")
    assert module.late == 2
