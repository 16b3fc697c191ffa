"""The groups of commands in the order of `nightscore --help`, for a newcomer first."""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.console import Failing

GROUPS = {
    "To begin": ("demo", "init", "doctor", "config"),
    "Nights": ("run", "train", "backfill", "catch-up", "publish", "serve"),
    "For analysts": ("sql", "explain", "answer", "labels", "replay"),
    "How good it is": ("evaluate", "report"),
    "Versions": ("models", "promote", "rollback"),
    "Upkeep": ("prune", "notify"),
}


class WholeSummaries(Failing):
    """Lists the commands with their whole summaries, wrapped and not cut."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The names of the commands by the title of their group."""
        return {"Commands": tuple(self.commands)}

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes one section per group."""
        width = max(map(len, self.commands))
        for title, names in self.groups.items():
            rows = [(name.ljust(width), _summary(self.commands[name].help)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)


class Grouped(WholeSummaries):
    """The commands of `nightscore` in the order of GROUPS."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """GROUPS."""
        return GROUPS

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in this order, by which a shell completes them."""
        return [name for names in GROUPS.values() for name in names]


def _summary(text: str | None) -> str:
    """The first paragraph of a help, without an example that follows in it."""
    return " ".join((text or "").split("\n\n")[0].split()).partition(" Example:")[0]
