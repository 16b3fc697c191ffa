"""README and docs: every command that they show exists with these options, and every link leads somewhere."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from flows.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = typer.main.get_command(app)
SHOWN = re.compile(r"^(?: {4,}|```sh\n)?(nightscore \S.*?)(?:  +#.*)?$|`(nightscore [^`]+)`", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist_with_the_options_that_a_page_shows(page: Path) -> None:
    for line in map("".join, SHOWN.findall(page.read_text())):
        words = shlex.split(line.replace("...", ""))[1:]
        command = COMMAND
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert command is not COMMAND or given or words == ["COMMAND"], line
        assert given <= known | {"--help", "--install-completion"}, (line, given - known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_layers_of_the_architecture_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    section = (ROOT / "docs" / "architecture.md").read_text().split("## The layers")[1].split("\n## ")[0]
    for contract in (each for each in contracts if "containers" in each):
        (room,) = contract["containers"]
        (shown,) = re.findall(rf"^    {room} +(.*?)\n\n", section, re.MULTILINE | re.DOTALL)
        assert [line.strip() for line in shown.splitlines()] == contract["layers"]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
