"""What the tests share: where the public data lies, and a small simulated dataset."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data that is not part of the repository."""
    folder = Path(os.environ.get("NIGHTSCORE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "card_transactions").is_dir():
        pytest.skip(f"no public data at {folder}; set NIGHTSCORE_DATA to run this test")
    return folder
