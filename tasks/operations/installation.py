"""Checks of the installation for `nightscore doctor`: versions, device, home, caches, Prefect, telemetry."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from models.errors import HeadUnavailable
from models.graph_cache import open_cache
from models.head.library import load_library
from tasks.core.errors import first_line

IMPORT_SECONDS = 120
PACKAGES = ("nightscore", "flows", "tasks", "models", "sql")
OFF = ("0", "false", "no", "off")


@dataclass(frozen=True)
class Check:
    """The result of one check.

    ok: None if the finding is neither good nor bad. fix: what to do, empty if ok.
    """

    name: str
    ok: bool | None
    found: str
    fix: str = ""

    def to_json(self) -> dict[str, str | bool | None]:
        """Returns the object that `nightscore doctor --json` prints, where `mend` is the fix."""
        return {"name": self.name, "ok": self.ok, "found": self.found, "mend": self.fix}


def checks_without_configuration() -> Iterator[Check]:
    """Runs every check of the installation, and says that there is no configuration."""
    yield from check_installation()
    yield Check(
        "config", None, "there is none here", "write one with `nightscore init`, or name it with --config"
    )


def check_installation() -> Iterator[Check]:
    """Runs every check that needs no configuration, and yields its result."""
    for check in INSTALLATION:
        yield guarded(check.__name__, check)


def guarded(function: str, look: Callable[[], Check]) -> Check:
    """Returns the result of a check, named after its function; one that raises counts as failed."""
    name = function.removeprefix("check_").replace("_", " ")
    try:
        return look()
    except Exception as error:
        return Check(name, False, first_line(error), "fix the error, then run `nightscore doctor` again")


def check_python() -> Check:
    """Compares the running Python with the version that the project requires."""
    needed = SpecifierSet(metadata.metadata("nightscore")["Requires-Python"])
    running = ".".join(map(str, sys.version_info[:3]))
    if not needed.contains(running, prereleases=True):
        return Check(
            "python",
            False,
            f"{running}, {needed} needed",
            f"install Python {needed} and create the environment again",
        )
    return Check("python", True, running)


def check_packages() -> Check:
    """Compares the installed packages with the versions that the project requires, without extras."""
    declared = [Requirement(line) for line in metadata.requires("nightscore") or []]
    needed = [
        requirement
        for requirement in declared
        if not requirement.marker or requirement.marker.evaluate({"extra": ""})
    ]
    if wrong := [problem for requirement in needed if (problem := _wrong_version(requirement))]:
        return Check(
            "packages",
            False,
            "; ".join(wrong),
            "install the locked versions: pip install --require-hashes -r requirements.lock",
        )
    return Check("packages", True, f"{len(needed)} as declared")


def check_modules() -> Check:
    """Looks on the path for other modules with the name of one of our packages: one hides the other."""
    home = Path(__file__).resolve().parents[2]
    specs = [PathFinder.find_spec(name, [place or "."]) for name in PACKAGES for place in sys.path]
    found = [Path(spec.origin).resolve() for spec in specs if spec and spec.origin]
    if others := [str(path) for path in dict.fromkeys(found) if not path.is_relative_to(home)]:
        return Check(
            "modules",
            None,
            f"{', '.join(others)} beside {home}",
            "install Nightscore in an environment of its own: of two modules of a name, Python finds one",
        )
    return Check("modules", True, f"{', '.join(PACKAGES)} are those of {home}")


def check_device() -> Check:
    """Finds the device that networks run on.

    A TensorFlow that was built for another processor kills its process, so it is imported in a subprocess.
    """
    command = [sys.executable, "-c", "from models import device; print(device.describe_device())"]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False)  # noqa: S603 (no outside input)
    if tried.returncode:
        lines = tried.stderr.strip().splitlines() or [f"its process ended with status {tried.returncode}"]
        return Check(
            "device",
            False,
            f"TensorFlow cannot be imported: {lines[-1]}",
            "install a TensorFlow that was built for this machine",
        )
    found = f"{tried.stdout.strip()}, TensorFlow {metadata.version('tensorflow')}"
    if "cpu" in found and Path("/dev/nvidiactl").exists():
        return Check(
            "device",
            None,
            f"{found}, though there is an NVIDIA device",
            "install requirements-gpu.lock to use it",
        )
    return Check("device", True, found)


def check_head() -> Check:
    """Checks that LightGBM and the system's libgomp can be loaded, which a head needs."""
    try:
        version = load_library().__version__
    except HeadUnavailable as error:
        reason = first_line(error).partition(", which")[0]
        return Check(
            "head",
            None,
            f'{reason}: head.kind "auto" is off, "boosted" fails',
            "install lightgbm and the system's libgomp (Debian: apt-get install libgomp1)",
        )
    return Check("head", True, f"LightGBM {version} can be loaded")


def check_prefect() -> Check:
    """Checks that the Prefect server answers, if Prefect's configuration names one."""
    from prefect.client.orchestration import get_client  # takes a second to import
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is None:
        return Check("prefect", True, "no API is configured: commands run without Prefect")
    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem is not None:
        return Check(
            "prefect",
            False,
            f"{url} does not answer: {first_line(problem)}",
            "start the server, or fix PREFECT_API_URL",
        )
    return Check("prefect", True, f"{url} answers")


def check_prefect_home() -> Check:
    """Checks that Prefect's home can be written, where its local server keeps its database."""
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    if problem := _unwritable(home):
        fix = "set PREFECT_HOME to a folder that can be written; without it, only runs without Prefect work"
        return Check("prefect home", None, f"{home} cannot be written: {problem}", fix)
    return Check("prefect home", True, f"{home} can be written")


def check_home() -> Check:
    """Checks that there is a home folder."""
    try:
        home = Path.home()
    except RuntimeError as error:
        return Check("home", None, first_line(error), "set HOME to a folder that can be written")
    if problem := _unwritable(home):
        return Check("home", None, f"{home} cannot be written: {problem}", "set HOME to a folder that can be")
    return Check("home", True, f"{home} can be written")


def check_graph_cache() -> Check:
    """Checks that compiled graphs are kept from one process to the next."""
    folder = open_cache()
    if folder is None:
        return Check(
            "graph cache",
            None,
            "compiled graphs are not kept, so that each process compiles its own, for some seconds",
            "set XDG_CACHE_HOME to a folder of this user alone, without blanks, with 1 GiB of free space",
        )
    return Check("graph cache", True, f"compiled graphs are kept in {folder}")


def check_telemetry() -> Check:
    """Checks that no library sends usage reports."""
    from prefect.settings import get_current_settings

    reports = {
        "PREFECT_SERVER_ANALYTICS_ENABLED=false": get_current_settings().server.analytics_enabled,
        "DO_NOT_TRACK=1": os.environ.get("DO_NOT_TRACK", "").lower() in ("", *OFF),
        "GX_ANALYTICS_ENABLED=false": os.environ.get("GX_ANALYTICS_ENABLED", "").lower() not in OFF,
    }
    if wanted := [setting for setting, on in reports.items() if on]:
        return Check("telemetry", False, "not switched off everywhere", f"set {' '.join(wanted)}")
    return Check("telemetry", True, "off in Prefect and Great Expectations")


def _unwritable(folder: Path) -> str | None:
    """Returns why nothing can be written in a folder, or in its nearest parent that exists; else None."""
    there = next(
        (each for each in (folder.absolute(), *folder.absolute().parents) if each.exists()), Path("/")
    )
    if not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"no permission in {there}"


def _wrong_version(needed: Requirement) -> str | None:
    try:
        found = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        return f"{needed.name} is not installed"
    return (
        None
        if needed.specifier.contains(found, prereleases=True)
        else f"{needed.name} is {found}, {needed.specifier} needed"
    )


INSTALLATION: tuple[Callable[[], Check], ...] = (
    check_python,
    check_packages,
    check_device,
    check_head,
    check_modules,
    check_home,
    check_graph_cache,
    check_prefect,
    check_prefect_home,
    check_telemetry,
)
