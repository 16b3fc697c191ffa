"""A command loads what it needs and no more, and starts no server where no API is configured."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from banks import NIGHT, Bank

from flows.serving.prefect_server import is_api_configured

DEFERRED = (  # loaded once the modules of models.deferred_imports are executed
    "altair.vegalite",
    "scipy.stats._stats_py",
    "sklearn.covariance._shrunk_covariance",
    "sklearn.metrics._ranking",
    "tensorflow._api.v2.compat.v2.compat",
)
HEAVY = ("tensorflow", "keras", "great_expectations", "prefect", "scipy.stats", "sklearn", *DEFERRED)
PROGRAM = """
import json, sys
from flows.cli.app import app
try:
    app(json.loads(sys.argv[1]), standalone_mode=False)
finally:
    sys.stderr.write("LOADED " + json.dumps(sorted(set(json.loads(sys.argv[2])) & set(sys.modules))))
"""

NIGHT_ALONE = """
import json, sys
from flows.cli import app
names, leave = json.loads(sys.argv.pop(1)), app._leave
def told(status):
    sys.stderr.write("LOADED " + json.dumps(sorted(set(names) & set(sys.modules))))
    leave(status)
app._leave = told
app.main()
"""


@pytest.mark.slow
def test_the_first_lines_of_doctor_need_nothing_heavy(scored_bank: Bank, tmp_path: Path) -> None:
    program = (
        "import sys; from flows.cli import tables; show = tables.health_line\n"
        "def told(check):\n    show(check); print('LOADED', sorted(set(sys.argv[1:]) & set(sys.modules)))\n"
        "tables.health_line = told\n"
        f"from flows.cli.app import app; app(['doctor', '--config', {str(scored_bank.config)!r}])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *HEAVY], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines[:6:2]] == ["python", "packages", "device"]
    assert lines[1:6:2] == ["LOADED []"] * 3


def loaded(home: Path, *words: str, modules: tuple[str, ...] = HEAVY) -> list[str]:
    """Which of these modules a command has loaded, in a process without any configuration of Prefect."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(words), json.dumps(modules)],
        env=environment | {"HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not (home / ".prefect").exists()  # Prefect has made no home, so no server either
    found: list[str] = json.loads(result.stderr.rpartition("LOADED ")[2])
    return found


@pytest.mark.slow
def test_what_needs_no_model_loads_none_and_starts_no_server(scored_bank: Bank, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"id,label,known_at,source\n0110-00001,1,{NIGHT},analyst\n")
    (version,) = scored_bank.table("select version from champion")["version"]
    config = ("--config", str(scored_bank.config))
    commands = {
        "run": ("run", "--date", str(NIGHT), *config),
        "catch-up": ("catch-up", "--to", str(NIGHT), *config),
        "backfill": ("backfill", "--from", str(NIGHT), "--to", str(NIGHT), *config),
        "publish": ("publish", *config),
        "sql": ("sql", "from alerts", "-o", str(tmp_path / "alerts.csv"), *config),
        "models": ("models", *config),
        "labels": ("labels", "--file", str(tmp_path / "labels.csv"), *config),
        "answer": ("answer", "0110-00001", "fraud", "--by", "Ada", *config),
        "promote": ("promote", version, *config),
        "prune": ("prune", "--keep-days", "30", *config),
        "config": ("config", "check", *config),
    }
    found = {name: loaded(tmp_path, *words) for name, words in commands.items()}
    assert found == {name: [] for name in commands}
    assert loaded(tmp_path, "--help", modules=(*HEAVY, "flows.settings", "pydantic", "duckdb")) == []


@pytest.mark.slow
def test_a_night_loads_no_prefect_and_prints_its_outcome_and_nothing_else(
    scored_bank: Bank, tmp_path: Path
) -> None:
    kept = {"XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]}  # compiled graphs
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)} | kept
    words = ["run", "--config", str(scored_bank.config), "--date", str(NIGHT + timedelta(days=1))]
    done = subprocess.run(
        [sys.executable, "-c", NIGHT_ALONE, json.dumps(HEAVY), *words],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "committed as" in done.stdout
    assert done.stdout.count("\n") == 1
    progress, _, found = done.stderr.rpartition("LOADED ")
    for line in progress.splitlines():  # a time of day, then text
        assert line[:8].replace(":", "").isdigit(), line
        assert "Warning" not in line
    loaded_modules = set(json.loads(found))
    assert {"tensorflow", "great_expectations"} <= loaded_modules
    assert not {"prefect", *DEFERRED} & loaded_modules
    assert not (tmp_path / ".prefect").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text", "variables", "is_configured"),
    [
        (None, "", {}, False),
        (None, "", {"PREFECT_API_URL": "http://127.0.0.1:1/api"}, True),
        ("prefect.toml", '[api]\nurl = "http://127.0.0.1:1/api"\n', {}, True),
        (
            ".prefect/profiles.toml",
            'active = "work"\n[profiles.work]\nPREFECT_API_URL = "http://127.0.0.1:1/api"\n',
            {},
            True,
        ),
        (
            ".prefect/profiles.toml",
            'active = "ephemeral"\n[profiles.ephemeral]\n[profiles.local]\nPREFECT_API_URL = "http://127.0.0.1:1/api"\n',
            {},
            False,
        ),
        (
            ".prefect/profiles.toml",
            'active = "ephemeral"\n[profiles.ephemeral]\n[profiles.local]\nPREFECT_API_URL = "http://127.0.0.1:1/api"\n',
            {"PREFECT_PROFILE": "local"},
            True,
        ),
    ],
)
def test_an_api_is_found_where_prefect_would_find_it(
    tmp_path: Path, name: str | None, text: str, variables: dict[str, str], is_configured: bool
) -> None:
    if name:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    program = (
        f"from {is_api_configured.__module__} import is_api_configured as ours; mine = ours(); "
        "from prefect.settings import PREFECT_API_URL; print(mine, bool(PREFECT_API_URL.value()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | variables | {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == [str(is_configured)] * 2


@pytest.mark.slow
@pytest.mark.parametrize("words", [["run", "--prefect", "--force", "--date", str(NIGHT)], ["serve"]])
def test_a_killed_process_leaves_no_server_behind(
    scored_bank: Bank, tmp_path: Path, words: list[str]
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [
        sys.executable,
        "-m",
        "flows.cli.app",
        words[0],
        "--config",
        str(scored_bank.config),
        *words[1:],
    ]
    started = subprocess.Popen(
        command,
        env=environment | {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        servers = wait_for(lambda: servers_of(started.pid), seconds=60)
    finally:
        started.kill()
        started.wait()
    assert servers
    gone, alive = psutil.wait_procs(servers, timeout=30)
    assert (len(gone), alive) == (len(servers), [])


def servers_of(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children(recursive=True)
    words = [" ".join(child.cmdline()) for child in children]
    return [
        child
        for child, text in zip(children, words, strict=True)
        if "uvicorn" in text or "server start" in text
    ]


def wait_for(look: Callable[[], list[psutil.Process]], seconds: float) -> list[psutil.Process]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            time.sleep(1)
            return found
        time.sleep(0.1)
    return []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "variables", "complaint"),
    [
        (
            [],
            {"PREFECT_API_URL": "http://127.0.0.1:9/api"},
            "the Prefect server at http://127.0.0.1:9/api does not answer",
        ),
        (["--prefect"], {"PREFECT_HOME": "/proc/nowhere"}, "Prefect cannot write its home /proc/nowhere"),
    ],
)
def test_a_server_that_cannot_be_had_is_one_line(
    scored_bank: Bank, tmp_path: Path, words: list[str], variables: dict[str, str], complaint: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    config = str(scored_bank.config)
    result = subprocess.run(
        [sys.executable, "-m", "flows.cli.app", "run", "--config", config, "--date", str(NIGHT), *words],
        env=environment | {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)} | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    _, line = result.stderr.splitlines()  # the first one says what the command does
    assert line.startswith(f"nightscore: {complaint}")


@pytest.mark.slow
def test_a_proxy_is_not_asked_for_the_own_server(scored_bank: Bank, tmp_path: Path) -> None:
    proxy = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    config = str(scored_bank.config)
    result = subprocess.run(
        [sys.executable, "-m", "flows.cli.app", "run", "--config", config, "--date", str(NIGHT), "--prefect"],
        env=environment | proxy | {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert (result.returncode, "already committed" in result.stdout) == (0, True), result.stderr


@pytest.mark.slow
def test_a_terminal_shows_how_far_a_training_is_and_is_left_as_it_was(
    scored_bank: Bank, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    variables = {
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TERM": "xterm",
        "COLUMNS": "120",
    }
    as_of = ["--as-of", str(NIGHT + timedelta(days=1))]
    command = [sys.executable, "-m", "flows.cli.app", "train", "--config", str(scored_bank.config), *as_of]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, env=environment | variables, cwd=tmp_path, stdout=theirs, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the terminal is closed when the process has ended
        while part := os.read(ours, 4096):
            shown += part
    assert process.wait() == 0, shown
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "\n").splitlines()
    bars = [line for line in lines if line.startswith("training  small-bank as of") and "%" in line]
    assert bars
    assert any("epoch  1 of at most 3" in line for line in lines)
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l")  # the cursor is back
