"""A warehouse in DuckLake: what its URI says, its extensions from their wheels, its password kept out of
every text.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

import sql
from tasks.core.errors import WarehouseError
from tasks.core.extensions import load_extension

EXTENSIONS = {
    "duckdb": ("ducklake",),
    "sqlite": ("ducklake", "sqlite_scanner"),
    "postgres": ("ducklake", "postgres_scanner"),
}
KINDS = "a DuckDB file, ducklake:sqlite:FILE, ducklake:FILE or ducklake:postgres:dbname=... host=... user=..."
SETTING = re.compile(r"\s*(\w+)\s*=\s*('(?:\\.|[^'\\])*'|[^\s'\"]+)")


@dataclass(frozen=True)
class Lake:
    """engine: what holds the catalog, a key of EXTENSIONS.

    catalog: its file, or its connection string without the password.
    """

    engine: str
    catalog: str
    password: str | None = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        return f"ducklake:{'' if self.engine == 'duckdb' else self.engine + ':'}{self.catalog}"

    @property
    def file(self) -> Path | None:
        return None if self.engine == "postgres" else Path(self.catalog)


def parse_lake(uri: str) -> Lake | None:
    """The lake that a URI names; None where it names a DuckDB file.

    Raises ValueError where it names neither, or where a password cannot be separated from the rest; the
    message shows nothing of the URI.
    """
    if not uri.startswith("ducklake:"):
        if re.match(r"[^/]*:", uri):  # a scheme; after a slash it is part of a folder's name
            raise ValueError(f"must be {KINDS}")
        return None
    place = uri.removeprefix("ducklake:")
    for engine in ("sqlite", "postgres"):
        if place.startswith(f"{engine}:"):
            place = place.removeprefix(f"{engine}:")
            return _parse_connection(place) if engine == "postgres" else Lake(engine, place)
    if re.match(r"\w+:", place):
        raise ValueError(f"must be {KINDS}")
    return Lake("duckdb", place)


def _parse_connection(text: str) -> Lake:
    settings = [(name.lower(), value) for name, value in SETTING.findall(text)]
    if SETTING.sub("", text).strip():
        raise ValueError(
            "the part after ducklake:postgres: must be key=value pairs, such as host=db dbname=lake; "
            "quote what has spaces"
        )
    if any(name == "sslpassword" for name, _ in settings):
        raise ValueError(
            "takes no sslpassword; write it into PostgreSQL's service file and name it with service=..."
        )
    passwords = [_unquoted(value) for name, value in settings if name == "password"]
    shown = " ".join(f"{name}={value}" for name, value in settings if name != "password")
    return Lake("postgres", shown, passwords[-1] if passwords else None)


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1] if value.startswith("'") else value)


def resolve_uri(uri: str, folder: Path) -> str:
    """The URI with the file that it names made absolute, relative to `folder`; any other as it is."""
    try:
        lake = parse_lake(uri)
    except ValueError:
        return uri
    if lake is None:
        return str(folder / uri)
    return uri if lake.file is None else Lake(lake.engine, str(folder / lake.file)).uri


def load_extensions(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Loads what the lake needs from the installed wheels.

    Raises WarehouseError where the extra is not installed.
    """
    for name in EXTENSIONS[lake.engine]:
        try:
            load_extension(con, name)
        except ImportError as error:
            raise WarehouseError(
                "a DuckLake as the warehouse needs its extensions; pip install nightscore[lake]"
            ) from error
    if (
        lake.password is not None
    ):  # as a secret of this connection DuckDB prints it nowhere, in no error and no listing
        con.execute(f"create temporary secret (type postgres, password {sql.literal(lake.password)})")
