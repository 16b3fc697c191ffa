"""A cache of compiled graphs, so that a process does not compile what an earlier one has compiled.

XLA keeps and finds each graph by its operations and constants. What it keeps is machine code that is run: the
folder is used only if it is this user's and nobody else can write to it; it is that of one processor and one
version of TensorFlow. It is outside the artifacts, and may be deleted at any time.
"""

import hashlib
import os
import platform
import shutil
import stat
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

DAYS = 30  # after which a graph is compiled anew: those of replaced versions go with time
FLAG = "--tf_xla_persistent_cache_"
LEAST_FREE = 1 << 30  # bytes: XLA fails where it cannot write


def open_cache() -> Path | None:
    """Returns the folder of this processor and TensorFlow, without what is older than DAYS; None where it
    cannot be used.
    """
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "nightscore" / f"graphs-{version('tensorflow')}-{_machine()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_own = all(map(_is_own, (folder, folder.parent)))
        if not is_own or len(str(folder).split()) > 1 or shutil.disk_usage(folder).free < LEAST_FREE:
            return None
        empty(folder, older_than=time.time() - DAYS * 86_400)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home
        return None
    return folder


def flags(folder: Path, others: str) -> str:
    """Returns the XLA flags for this folder, after `others`. Only graphs for the CPU are kept."""
    own = f"{FLAG}directory={folder} {FLAG}device_types=CPU"
    return " ".join([*_others(others), own])


def empty(folder: Path, older_than: float | None = None) -> None:
    """Deletes the graphs of a folder. older_than: of those, the ones written before this time (seconds)."""
    for entry in folder.glob("*.pb"):
        with suppress(OSError):  # another process deleted it first
            if older_than is None or entry.stat().st_mtime < older_than:
                entry.unlink()


def _is_own(folder: Path) -> bool:
    found = folder.lstat()
    own = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and own and os.access(folder, os.W_OK)


def _machine() -> str:
    """Returns a hash of what the processor can do, as machine code for another one may not run, and of the
    flags of XLA, which may give other scores.
    """
    told = [os.environ.get("XLA_FLAGS", ""), *_others(os.environ.get("TF_XLA_FLAGS", ""))]
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        told += sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    except OSError:
        told.append(repr(platform.uname()))
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def _others(given: str) -> list[str]:
    """Returns the flags that are not those of a cache, such as a parent process has set them."""
    return [flag for flag in given.split() if not flag.startswith(FLAG)]
