"""`nightscore config`, its schema for editors, and the page that is written from the same classes."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from banks import CONFIG
from typer.testing import CliRunner

from flows.cli.app import app
from flows.settings_reference import reference
from flows.settings_schema import settings_schema

ROOT = Path(__file__).parents[2]
SCHEMA = jsonschema.Draft7Validator(settings_schema())


def check(config: Path, *options: str) -> tuple[int, str, str]:
    checked = CliRunner().invoke(app, ["config", "check", "--config", str(config), *options])
    return checked.exit_code, checked.stdout, checked.stderr


def as_json(toml: str) -> Any:
    return json.loads(json.dumps(tomllib.loads(toml), default=str))


def test_a_valid_configuration_is_ok_though_there_is_no_source(tmp_path: Path) -> None:
    config = tmp_path / "cards.toml"
    config.write_text(CONFIG)
    assert check(config) == (0, f"{config}: ok\n", "")
    assert json.loads(check(config, "--json")[1]) == {"file": str(config), "ok": True, "problems": []}


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("epochs = 3", "epoch = 3\nseed = 'x'", ["training.seed: ", "training.epoch is not"]),
        ("epochs = 3", "epochs = 3\n=", ["is not valid TOML: "]),
    ],
)
def test_every_problem_is_a_line_and_status_1(
    tmp_path: Path, old: str, new: str, problems: list[str]
) -> None:
    config = tmp_path / "cards.toml"
    config.write_text(CONFIG.replace(old, new))
    status, output, errors = check(config)
    assert (status, errors) == (1, "")
    for line, problem in zip(output.splitlines(), problems, strict=True):
        assert line.startswith(f"{config}: {problem}")


def test_the_schema_is_valid_and_describes_every_key() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA.schema)
    for section in (SCHEMA.schema, *SCHEMA.schema["$defs"].values()):
        assert [key for key, each in section["properties"].items() if not each.get("description")] == []
    printed = CliRunner().invoke(app, ["config", "schema"])
    assert json.loads(printed.stdout) == SCHEMA.schema


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.stem)
def test_the_schema_takes_the_examples(example: Path) -> None:
    assert [error.message for error in SCHEMA.iter_errors(as_json(example.read_text()))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs = 3", "epoch = 3"),
        ("epochs = 3", "epochs = 0"),
        ("wait_seconds = 1", "wait_seconds = '1 minute'"),
        ('score = "whitened"', 'score = "best"'),
        ("nullable = false", "nullabel = false"),
        ('id = "id"', ""),
    ],
)
def test_the_schema_refuses_what_the_settings_refuse(old: str, new: str) -> None:
    assert SCHEMA.is_valid(as_json(CONFIG))
    assert not SCHEMA.is_valid(as_json(CONFIG.replace(old, new)))


def test_the_page_of_the_configuration_is_what_make_docs_writes() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == reference(), "run `make docs`"


def test_it_starts_without_anything_large() -> None:
    code = (
        "import sys, flows.cli.app; from flows.settings_schema import settings_schema; settings_schema(); "
        "print(*{'numpy', 'polars', 'pandas', 'pyarrow', 'prefect', 'keras'} & {*sys.modules})"
    )
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert started.stdout.split() == []
