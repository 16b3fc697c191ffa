"""Every SQL statement of Nightscore, each in a file of its own."""

from pathlib import Path

FOLDER = Path(__file__).parent


def read(name: str) -> str:
    """The text of `sql/<name>.sql`, or of the file at an absolute path.

    Raises FileNotFoundError, naming the file.
    """
    path = Path(name)
    return (path if path.is_absolute() else FOLDER / path).with_suffix(".sql").read_text(encoding="utf-8")


def names(pattern: str) -> list[str]:
    """The names of the statements that match, such as `checks/*`, in order."""
    return sorted(
        path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob(f"{pattern}.sql")
    )


def identifier(name: str) -> str:
    """The name as a quoted SQL identifier, whatever characters it holds."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as a quoted SQL string, for the few statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"
