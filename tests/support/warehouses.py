"""Warehouses of every engine for the tests: a DuckDB file, a lake on SQLite, and a lake on a PostgreSQL that
is started for them.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "hun'ter 2"
ENGINES = ["file", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)]
LAKES = ENGINES[1:]
SAMPLED = [
    "file",
    pytest.param("sqlite", marks=pytest.mark.soak),
    ENGINES[2],
]  # of two kinds of lake, one each time


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server of the tests' own. folder: where its socket is."""

    programs: Path
    folder: Path

    def new_database(self, name: str) -> str:
        """Makes an empty database and gives the warehouse URI of a lake in it."""
        command = [
            self.programs / "psql",
            "-q",
            "-h",
            self.folder,
            "-U",
            "app",
            "-d",
            "postgres",
            "-c",
            f'create database "{name}"',
        ]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PGPASSWORD": PASSWORD})
        quoted = PASSWORD.replace("'", r"\'")
        return f"ducklake:postgres:host={self.folder} user=app dbname={name} password='{quoted}'"


def find_programs() -> Path | None:
    """The folder of PostgreSQL's own programs, the newest where there are several; Debian puts them beside
    the PATH.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return installed[-1].parent if installed else None


@contextmanager
def running_postgres(programs: Path) -> Iterator[Postgres]:
    """A throw-away cluster that listens on a socket alone and wants a password; the server refuses to run as
    root.
    """
    folder = Path(tempfile.mkdtemp(prefix="nightscore-pg-"))
    (folder / "password").write_text(PASSWORD)
    as_user = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
        shutil.chown(folder / "password", "postgres")

    def server(program: str, *arguments: str) -> None:
        subprocess.run(
            [*as_user, programs / program, "-D", folder / "data", *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )

    try:
        server(
            "initdb",
            "-U",
            "app",
            "--auth=scram-sha-256",
            f"--pwfile={folder / 'password'}",
            "-E",
            "UTF8",
            "--no-sync",
        )
        server(
            "pg_ctl",
            "-w",
            "-l",
            str(folder / "log"),
            "-o",
            f"-c listen_addresses= -k {folder} -c fsync=off",
            "start",
        )
        try:
            yield Postgres(programs, folder)
        finally:
            server("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
