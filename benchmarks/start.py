"""How long a command takes from the shell, beside the imports of its largest libraries: medians in seconds.

    .venv/bin/python benchmarks/start.py            # or make bench-start

Prints one JSON object: a night of 10,000 rows with a version that is trained already, the same date again,
and commands that only read; each as the median of five processes, and as a multiple of `import prefect` and
`import tensorflow` together, measured in the same run. A further night is what each date adds to a
`catch-up` of several dates in one process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("nightscore")
FIRST, WINDOW, FEATURES = date(2026, 3, 1), 3, [f"v{number:02d}" for number in range(1, 31)]
CONFIG = f"""
name = "start"

[source]
path = "transactions/date={{date}}/*.parquet"

[columns]
id = "id"

[features]
numeric = {json.dumps(FEATURES)}

[training]
window_days = {WINDOW}
retrain_every_days = 365
epochs = 3
"""


def main() -> None:
    """Prints the medians of the runs that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="at least 2")
    parser.add_argument("--rows", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(json.dumps(measure(Path(folder), asked.runs, asked.rows)) + "\n")


def measure(folder: Path, runs: int, rows: int) -> dict[str, object]:
    """Returns the medians in seconds, their floor, and the load of the machine."""
    days = [FIRST + timedelta(days=number) for number in range(WINDOW + 1 + 2 * runs)]
    config = write_source(folder, days, rows)
    command = [str(PROGRAM), "run", "--config", str(config), "--date"]
    trains, *nights = map(str, days[WINDOW : WINDOW + 1 + runs])
    _seconds([*command, trains])
    imports = {
        name: _median([[sys.executable, "-c", f"import {name}"]] * runs) for name in ("prefect", "tensorflow")
    }
    read = ["--config", str(config)]
    medians = {
        "night": _median([[*command, day] for day in nights]),
        "same_night_again": _median([[*command, day] for day in nights]),
        "sql": _median([[str(PROGRAM), "sql", *read, "from daily"]] * runs),
        "models": _median([[str(PROGRAM), "models", *read]] * runs),
        "help": _median([[str(PROGRAM), "--help"]] * runs),
    }
    catch_up = _seconds([str(PROGRAM), "catch-up", "--config", str(config), "--to", str(days[-1])])
    medians["further_night"] = round((catch_up - medians["night"]) / (runs - 1), 2)
    floor = sum(imports.values())
    return {
        "rows": rows,
        "runs": runs,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "import_seconds": imports,
        "seconds": medians,
        "times_the_imports": {name: round(value / floor, 2) for name, value in medians.items()},
    }


def write_source(folder: Path, days: Sequence[date], rows: int) -> Path:
    """Writes a partition of random rows for each day; returns the path of the configuration."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    for day in days:
        path = folder / "transactions" / f"date={day}" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        ids = pl.Series("id", [f"{day}-{number}" for number in range(rows)])
        features = pl.DataFrame(random.normal(size=(rows, len(FEATURES))), schema=FEATURES)
        features.insert_column(0, ids).write_parquet(path)
    config = folder / "nightscore.toml"
    config.write_text(CONFIG)
    return config


def _median(commands: Sequence[Sequence[str]]) -> float:
    return round(statistics.median(map(_seconds, commands)), 2)


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
