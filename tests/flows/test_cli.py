"""The command line as a new user sees it."""

import json
import re
from datetime import timedelta
from importlib import metadata
from pathlib import Path

import pytest
import typer
from banks import NIGHT, Bank
from typer.testing import CliRunner

from flows.cli.app import app
from flows.cli.groups import GROUPS
from models.detector.explanation import REASON_FIELDS
from tasks.operations import installation

COMMANDS = sorted(typer.main.get_command(app).commands)


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    status, output, _ = invoke(command, "--help")
    assert status == 0
    assert f"Example: nightscore {command}" in " ".join(output.split())


def test_help_lists_every_command_in_its_group_with_its_whole_summary() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == COMMANDS
    _, output, _ = invoke("--help")
    assert re.findall(r"^(\S.*):$", output, re.MULTILINE) == ["Options", *GROUPS]
    assert "..." not in (output + invoke("config", "-h")[1]).replace("[ARGS]...", "")
    listed = re.findall(r"^  ([a-z][a-z-]*)  ", output, re.MULTILINE)
    assert listed == [name for names in GROUPS.values() for name in names]


def test_the_version_is_the_installed_one() -> None:
    assert invoke("--version") == (0, f"nightscore {metadata.version('nightscore')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["evalute"], "evaluate"), (["catchup"], "catch-up"), (["config", "chekc"], "check")],
)
def test_a_near_miss_names_the_command_that_was_meant(arguments: list[str], meant: str) -> None:
    status, _, errors = invoke(*arguments)
    assert (status, f"No such command {arguments[-1]!r}. Did you mean {meant!r}?" in errors) == (2, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_the_commands(shell: str) -> None:
    words = {"COMP_WORDS": "nightscore ca", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "nightscore ca"}
    given = words | {"_NIGHTSCORE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    completed = CliRunner().invoke(app, [], prog_name="nightscore", env=given)
    assert "catch-up" in completed.stdout


@pytest.mark.parametrize("arguments", [["run"], ["run", "--date", "yesterday"], ["unknown"], ["sql"]])
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    assert invoke(*arguments)[0] == 2


@pytest.mark.parametrize("arguments", [["run", "--date", "2026-01-01"], ["sql", "select 1"], ["doctor"]])
def test_a_missing_configuration_is_one_line_and_status_1(arguments: list[str], tmp_path: Path) -> None:
    status, output, errors = invoke(*arguments, "--config", str(tmp_path / "none.toml"))
    assert (status, output) == (1, "")
    assert errors.startswith("nightscore: there is no configuration")
    assert errors.count("\n") == 1


@pytest.mark.slow
def test_init_writes_a_configuration_that_doctor_accepts_and_never_overwrites_one(bank: Bank) -> None:
    out = bank.folder / "mine.toml"
    arguments = ["init", "--path", str(bank.folder / "transactions"), "--name", "mine", "--out", str(out)]
    assert invoke(*arguments)[0] == 0
    text = out.read_text()
    assert invoke(*arguments)[0] == 1
    assert out.read_text() == text
    assert '# sql = "mine.entity_behaviour.sql"' in text
    assert '"card" as entity' in (bank.folder / "mine.entity_behaviour.sql").read_text()
    status, output, _ = invoke("doctor", "--config", str(out), "--json")
    checks = json.loads(output)
    assert status == 0, checks
    assert all(check.keys() == {"name", "ok", "found", "mend"} for check in checks)
    assert all(check["ok"] is not False for check in checks)


def test_doctor_without_a_configuration_checks_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTSCORE_CONFIG", raising=False)
    monkeypatch.setattr(installation, "INSTALLATION", (installation.check_python,))
    status, output, _ = invoke("doctor")
    assert (status, [line.split()[:2] for line in output.splitlines()[:2]]) == (
        0,
        [["ok", "python"], ["note", "config"]],
    )
    assert "write one with `nightscore init`" in output


def test_a_failed_init_leaves_no_file(tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    assert invoke("init", "--path", str(tmp_path / "nowhere"), "--out", str(out))[0] == 1
    assert not out.exists()


@pytest.mark.slow
def test_results_are_one_json_value_on_standard_output(scored_bank: Bank) -> None:
    config = ["--config", str(scored_bank.config), "--json"]
    night = json.loads(invoke("run", "--date", str(NIGHT), *config)[1])
    assert (night["date"], night["status"]) == (str(NIGHT), "already committed")
    version = json.loads(invoke("train", "--as-of", str(NIGHT + timedelta(days=1)), *config)[1])
    assert version["as_of"] == str(NIGHT + timedelta(days=1))
    alerts = json.loads(invoke("sql", "from alerts limit 2", *config)[1])
    assert [alert["alert"] for alert in alerts] == [1, 2]
    assert alerts[0]["reasons"][0].keys() == set(REASON_FIELDS)
    evaluated = json.loads(invoke("report", *config)[1])
    assert evaluated["first_date"] == evaluated["last_date"] == str(NIGHT)
