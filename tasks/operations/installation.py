"""The installation under Nightscore, as `nightscore doctor` checks it: versions, device, Prefect,
telemetry.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from tasks.core.errors import first_line

IMPORT_SECONDS = 120
OFF = ("0", "false", "no", "off")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    ok: None where it is worth knowing and neither good nor bad; mend: what to do, empty where ok.
    """

    name: str
    ok: bool | None
    found: str
    mend: str = ""


def check_python() -> Check:
    """The running Python, against what the project declares."""
    needed = SpecifierSet(metadata.metadata("nightscore")["Requires-Python"])
    running = ".".join(map(str, sys.version_info[:3]))
    if not needed.contains(running, prereleases=True):
        return Check(
            "python",
            False,
            f"{running}, {needed} needed",
            f"install Python {needed} and make the environment again",
        )
    return Check("python", True, running)


def check_packages() -> Check:
    """The installed packages, against what the project declares; extras are not asked for."""
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


def check_device() -> Check:
    """What networks run on.

    A TensorFlow that was built for another processor kills its process, so it is imported in one of its own.
    """
    command = [sys.executable, "-c", "from models import device; print(device.describe_device())"]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False)  # noqa: S603 (no outside input)
    if tried.returncode:
        last = (tried.stderr.strip().splitlines() or [f"its process ended with status {tried.returncode}"])[
            -1
        ]
        return Check(
            "device",
            False,
            f"TensorFlow cannot be imported: {last}",
            "install a TensorFlow that fits this machine",
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


def check_prefect() -> Check:
    """Where flows report to."""
    url = get_current_settings().api.url
    if url is None:
        return Check(
            "prefect", True, "no PREFECT_API_URL: each command starts a server of its own and ends it"
        )
    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem is not None:
        return Check(
            "prefect",
            False,
            f"{url} does not answer: {first_line(problem)}",
            "start the server, or mend PREFECT_API_URL",
        )
    return Check("prefect", True, f"{url} answers")


def check_telemetry() -> Check:
    """Whether a library would report on its use."""
    talks = {
        "PREFECT_SERVER_ANALYTICS_ENABLED=false": get_current_settings().server.analytics_enabled,
        "DO_NOT_TRACK=1": os.environ.get("DO_NOT_TRACK", "").lower() in ("", *OFF),
        "GX_ANALYTICS_ENABLED=false": os.environ.get("GX_ANALYTICS_ENABLED", "").lower() not in OFF,
    }
    if wanted := [setting for setting, on in talks.items() if on]:
        return Check("telemetry", False, "not switched off everywhere", f"set {' '.join(wanted)}")
    return Check("telemetry", True, "off in Prefect and Great Expectations")


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
    check_prefect,
    check_telemetry,
)
