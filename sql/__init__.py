"""Every SQL statement of Nightscore, each in a file of its own."""

from pathlib import Path

FOLDER = Path(__file__).parent


def read(name: str) -> str:
    """Returns the text of `sql/<name>.sql`, or of the file at an absolute path.

    Raises FileNotFoundError, which names the file.
    """
    path = Path(name)
    file = (path if path.is_absolute() else FOLDER / path).with_suffix(".sql")
    return file.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark


def names(pattern: str) -> list[str]:
    """Returns the names of the statements that match a pattern such as `checks/*`, sorted."""
    return sorted(
        path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob(f"{pattern}.sql")
    )


def identifier(name: str) -> str:
    """Returns the name as a quoted SQL identifier; it may contain any characters."""
    return '"' + name.replace('"', '""') + '"'


def folded(name: str) -> str:
    """Returns a name as DuckDB compares it: capital letters of ASCII are small ones."""
    return name.encode().lower().decode()


def literal(text: str) -> str:
    """Returns the text as a quoted SQL string, for the few statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"
