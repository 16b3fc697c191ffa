"""The Dockerfile, followed step by step without Docker: its own lines are run in a clean folder and a clean
environment.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = "/opt/nightscore"
TOOLS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@dataclass(frozen=True)
class Step:
    """One line of a Dockerfile: its instruction and what comes after it."""

    instruction: str
    value: str


def stages() -> list[list[Step]]:
    """The steps of each stage, beginning with its FROM."""
    lines = [
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")
    ]
    steps = [Step(*line.split(maxsplit=1)) for line in lines]
    starts = [number for number, step in enumerate(steps) if step.instruction == "FROM"]
    return [steps[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def values(stage: list[Step], instruction: str) -> list[str]:
    return [step.value for step in stage if step.instruction == instruction]


def settings(stage: list[Step], instruction: str) -> dict[str, str]:
    """The names and values of ENV or ARG."""
    return dict(word.split("=", 1) for value in values(stage, instruction) for word in shlex.split(value))


def test_the_image_is_slim_and_not_root() -> None:
    build, image = stages()
    assert {stage[0].value.split()[0] for stage in (build, image)} == {"python:3.11-slim"}
    assert values(image, "USER") == ["nightscore"]
    assert "useradd --uid $USER_ID" in values(image, "RUN")[0]
    assert values(image, "COPY") == [f"--from=build {BUILT} {BUILT}"], (
        "the environment and nothing of the build goes into the image"
    )
    assert values(image, "ENTRYPOINT") == ['["nightscore"]']
    assert values(image, "VOLUME") == values(image, "WORKDIR") == ["/nights"]


def test_uv_is_the_locked_one() -> None:
    (version,) = re.findall(r"^uv==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert values(stages()[0], "RUN")[0].endswith(f" uv=={version}")


def test_what_is_copied_is_not_ignored() -> None:
    rules = (ROOT / ".dockerignore").read_text().split()
    for value in values(stages()[0], "COPY"):
        for name in value.split()[:-1]:
            assert (ROOT / name).exists()
            assert f"!{name}" in rules
    assert "*" in rules, "what is not named stays out: data, results, secrets"


def test_the_other_lock_of_the_build_is_there() -> None:
    """The build of the GPU image, as its comment gives it."""
    text = (ROOT / "Dockerfile").read_text()
    assert "--build-arg LOCK=requirements-gpu.lock" in text
    assert "nvidia-cudnn" in (ROOT / "requirements-gpu.lock").read_text()
    assert "pytest" not in re.findall(
        r"^([a-z0-9-]+)==", (ROOT / "requirements-gpu.lock").read_text(), re.MULTILINE
    )


def test_the_image_has_every_extra_and_the_other_one_gpu_too() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    plain = " ".join(f"--extra {name}" for name in extras if name != "gpu")
    assert settings(stages()[0], "ARG")["EXTRAS"] == plain
    assert f'--build-arg EXTRAS="{plain} --extra gpu"' in (ROOT / "Dockerfile").read_text()


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Path]:
    """The environment that the steps of the build stage make; it is gone at once afterwards, as it is
    large.
    """
    if shutil.which("uv", path=TOOLS) is None:
        pytest.skip("uv is not installed: `make env` brings it")
    folder, environment = tmp_path / "build", tmp_path / "opt"
    folder.mkdir()
    try:
        _follow(stages()[0], folder, environment)
        yield environment
    finally:
        shutil.rmtree(environment, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("flows.cli.app") is None, reason="there is no command line yet")
def test_the_steps_of_the_build_make_a_nightscore_that_starts(built: Path, tmp_path: Path) -> None:
    image = stages()[1]
    assert settings(image, "ENV")["PATH"].startswith(f"{BUILT}/bin:")
    (name,) = re.findall(r'\["(\w+)"\]', values(image, "ENTRYPOINT")[0])
    started = subprocess.run(
        [str(built / "bin" / name), "--help"],
        cwd=tmp_path,
        env=_clean(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "doctor" in started.stdout
    packages = next(built.glob("lib/python*/site-packages"))
    assert not {path.name for path in packages.iterdir()} & {"pytest", "mypy", "moto"}, (
        "what tests need is not part of the image"
    )
    for room in ("nightscore", "flows", "tasks", "models", "sql"):
        ours = {
            path.relative_to(ROOT)
            for path in (ROOT / room).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert {path for path in ours if not (packages / path).is_file()} == set(), (
            "every file of our own is installed"
        )


def _follow(stage: list[Step], folder: Path, built: Path) -> None:
    """Every COPY and RUN of the stage, in a folder for its WORKDIR; the uv that its first RUN installs is
    the one that is here.
    """
    environment = (
        _clean()
        | settings(stage, "ENV")
        | settings(stage, "ARG")
        | {"VIRTUAL_ENV": str(built), "PATH": TOOLS}
    )
    for unwanted in (
        "UV_NO_CACHE",
        "UV_COMPILE_BYTECODE",
    ):  # they make the image small and its start quick, and this test slow
        environment.pop(unwanted)
    for step in stage:
        if step.instruction == "COPY":
            _copy(step.value.split(), folder)
        elif step.instruction == "RUN" and not step.value.startswith("pip install"):
            command = ["/bin/sh", "-euc", step.value.replace(BUILT, str(built))]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            if re.search("Failed to fetch|dns error|error sending request", done.stderr):
                pytest.skip("packages are neither in uv's cache nor can they be fetched")
            assert done.returncode == 0, f"{step.value}\n{done.stderr[-2000:]}"


def _copy(names: list[str], folder: Path) -> None:
    """A file goes into the folder of the last name; a folder's content becomes the content of it."""
    *sources, target = names
    for name in sources:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / target)


def _clean() -> dict[str, str]:
    """The environment of somebody who has installed nothing of ours."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "PREFECT"))
    }
