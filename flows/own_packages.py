"""Whether the packages that Python finds are those of Nightscore: their names are common ones."""

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("tasks", "models", "sql")


def require_own_packages() -> None:
    """Ends the process with one line where another module hides one of ours."""
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        spec = find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != home / name / "__init__.py":
            raise SystemExit(
                f"nightscore: {found or 'nothing'} is found as Python's package {name}, in place of "
                f"{home / name}; run in another folder, take it out of PYTHONPATH, or install Nightscore in "
                "an environment of its own"
            )
