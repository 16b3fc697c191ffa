"""What the tests share: the public data, a small bank to score, and one Prefect server and one browser for
the whole session.
"""

import atexit
import gc
import logging
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import absl.logging
import hypothesis
import pytest
from banks import NIGHT, Bank, found_bank
from browsing import Page
from prefect_servers import shared_server
from warehouses import Postgres, find_programs, running_postgres

import flows  # noqa: F401 (nothing phones home)
from tasks.warehouse.settings import WarehouseSettings

if "XDG_CACHE_HOME" not in os.environ:  # compiled graphs are those of this session, in all its processes
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="nightscore-cache-")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
gc.set_threshold(
    200_000, 50, 50
)  # each collection looks at millions of objects of the libraries: a tenth of the time of all tests
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first, so that of several processes none is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data that is not part of the repository."""
    folder = Path(os.environ.get("NIGHTSCORE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "card_transactions").is_dir():
        pytest.skip(f"no public data at {folder}; set NIGHTSCORE_DATA to run this test")
    return folder


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Prefect server with a database of its own, one for all processes of pytest."""
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    own = tmp_path_factory.getbasetemp()
    with shared_server(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) as address:
        yield address
        with temporary_settings({PREFECT_API_URL: address}):  # else it starts another server
            APILogWorker.instance().drain()


@pytest.fixture
def prefect_server(prefect_api: str) -> Iterator[None]:
    """A configured Prefect API, for a test of what runs there; commands of other tests run without one."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield


@pytest.fixture(scope="session")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Page]:
    """Loads a page in headless Chromium and gives the document as the browser holds it."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here: install chromium or google-chrome to load the page in a browser")

    def load(page: Path) -> Page:
        profile = tmp_path_factory.mktemp("profile")
        quiet = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
        ]
        command = [browser, *quiet, f"--user-data-dir={profile}", "--dump-dom", page.resolve().as_uri()]
        return Page(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)

    return load


@pytest.fixture(autouse=True, scope="session")
def open_streams() -> None:
    """TensorFlow's log handler closes a stream that is not the standard one of the moment, such as pytest's
    own beside a CliRunner's.
    """
    absl.logging.get_absl_handler().python_handler.close = lambda: None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server, started once."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here: install Debian's postgresql to test a lake whose catalog is in it")
    with running_postgres(programs) as server:
        yield server


@pytest.fixture
def warehouse(tmp_path: Path, request: pytest.FixtureRequest) -> WarehouseSettings:
    """A warehouse that does not exist yet, of the engine that the test names; a DuckDB file unless it
    does.
    """
    engine = getattr(request, "param", "file")
    if engine == "postgres":
        uri = request.getfixturevalue("postgres").new_database(f"lake_{secrets.token_hex(4)}")
    else:
        uri = str(tmp_path / "w.duckdb") if engine == "file" else f"ducklake:sqlite:{tmp_path / 'w.sqlite'}"
    return WarehouseSettings(uri=uri, files=str(tmp_path / "files"), wait_seconds=20)


@pytest.fixture(autouse=True)
def quiet_rooms() -> Iterator[None]:
    """The command line's handler writes to the standard error of its own test alone."""
    yield
    for room in ("flows", "tasks", "models"):
        logger = logging.getLogger(room)
        logger.handlers, logger.propagate = [], True


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """A small bank that nobody has scored yet."""
    return found_bank(tmp_path / "bank")


@pytest.fixture(scope="session")
def scored_bank_template(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    from flows.plain import nightly

    bank = found_bank(tmp_path_factory.mktemp("bank") / "bank")
    nightly(bank.config, NIGHT)
    return bank


@pytest.fixture
def scored_bank(scored_bank_template: Bank, tmp_path: Path) -> Bank:
    """The same bank after its first night; the copy is the test's own."""
    shutil.copytree(scored_bank_template.folder, tmp_path / "scored")
    return Bank(tmp_path / "scored")
