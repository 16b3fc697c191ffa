"""The house: which room may import what, how its files are named, and what it never brings along."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("nightscore", "flows", "tasks", "models", "sql")
HEAVY = {"tensorflow", "keras", "great_expectations", "prefect", "sklearn", "scipy", "pandas"}
OWN_FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The top-level modules that a file imports anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {
        name.split(".")[0]
        for name in plain
        | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    }


def test_imports_go_along_the_arrows() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    lint = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stdout
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", lint.stdout)


@pytest.mark.parametrize("path", sorted((ROOT / "sql").rglob("*.sql")), ids=lambda path: path.stem)
def test_sql_begins_with_its_grain(path: Path) -> None:
    """What only updates, deletes or creates returns no rows, and says what it does instead."""
    text = path.read_text(encoding="utf-8")
    verb = re.search(r"^[a-z]+", text, re.MULTILINE)
    assert verb
    assert re.match(r"-- Grain" if verb[0] in ("select", "with", "insert") else r"-- \w", text)


def test_every_insert_is_by_name() -> None:
    """By position, a column added in the middle of a table would silently shift the values after it."""
    statements = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "sql").rglob("*.sql"))
    inserts = re.findall(r"insert\s+into\b[^\n]*", statements, re.IGNORECASE)
    assert len(inserts) > 5
    assert [insert for insert in inserts if not re.fullmatch(r"insert into \w+ by name", insert)] == []


def test_no_flow_is_named_after_a_room_or_a_module() -> None:
    """Prefect puts the folder of a flow first on the path: such a name would hide the real one."""
    names = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    assert names
    assert not names & (set(sys.stdlib_module_names) | set(ROOMS) | HEAVY)


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements*.lock")), ids=lambda path: path.name)
def test_locks_name_no_host_and_hash_everything(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert not re.findall(r"https?://\S+|--(?:extra-)?index-url|--find-links", text)
    requirements = re.split(r"\n(?=[a-z0-9])", text[text.index("\n") + 1 :])
    pinned = [block for block in requirements if not block.startswith("#")]
    assert len(pinned) > 50
    assert [
        block.splitlines()[0] for block in pinned if "==" not in block or "--hash=sha256:" not in block
    ] == []


@pytest.mark.parametrize("module", ["pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"])
def test_nothing_is_pickled(module: str) -> None:
    assert len(OWN_FILES) > 10
    assert [str(path) for path in OWN_FILES if module in imported(path)] == []


def test_the_command_line_starts_without_what_is_slow() -> None:
    listed = f"import sys, flows.cli.app; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    started = subprocess.run(
        [sys.executable, "-c", listed], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert started.stdout.split() == []
