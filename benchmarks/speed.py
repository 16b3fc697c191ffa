"""How fast a night is: 1,000,000 rows x 30 features from Parquet to committed results, through the same flow
as every night.

Prints one JSON object; `make bench-speed` runs it. Each part runs in a process of its own, so that the
night's memory is the night's alone. The floor is what no night on this machine can beat: the bare reading,
network and insert, without validation, calibration, ranks, reasons or a ledger. A slow machine is no failure:
read `accepted` beside `share_of_floor`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.settings import ModelSettings

ROWS, TRAINING_ROWS, TRAINING_DAYS, FEATURES = 1_000_000, 5_000, 7, 30
NIGHT = date(2026, 3, 31)
LEAST_ROWS_PER_SECOND, MOST_MEMORY_MB = 150_000, 2_048
NAMES = [f"v{number:02d}" for number in range(1, FEATURES + 1)]
CONFIG = f"""
name = "speed"

[source]
path = "transactions/date={{date}}/*.parquet"

[columns]
id = "id"

[features]
numeric = {json.dumps(NAMES)}

[training]
window_days = {TRAINING_DAYS}
epochs = 3
"""


def main() -> None:
    """Runs every part in turn and prints what they measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the night")
    parser.add_argument("--score", default="combined", help="of the model")
    parser.add_argument("--part", choices=PARTS, help="run one part alone, in --folder")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(PARTS[asked.part](asked.folder, asked.rows)))
        return
    with TemporaryDirectory(prefix="nightscore-speed-") as folder:
        (Path(folder) / "nightscore.toml").write_text(f'{CONFIG}\n[model]\nscore = "{asked.score}"\n')
        simulate, train, night, floor = (run_part(name, Path(folder), asked.rows) for name in PARTS)
    rows_per_second = asked.rows / night["seconds"]
    report = {
        "rows": asked.rows,
        "features": FEATURES,
        "score": asked.score,
        "rows_per_second": round(rows_per_second),
        "rows_per_second_by_step": {
            name: round(asked.rows / max(seconds, 1e-3)) for name, seconds in night["seconds_by_step"].items()
        },
        "seconds_by_step": night["seconds_by_step"],
        "peak_memory_mb": night["peak_memory_mb"],
        "seconds_with_start_up": night["seconds_with_start_up"],
        "floor_rows_per_second": round(asked.rows / floor["seconds"]),
        "share_of_floor": round(floor["seconds"] / night["seconds"], 3),
        "least_rows_per_second": LEAST_ROWS_PER_SECOND,
        "most_memory_mb": MOST_MEMORY_MB,
        "accepted": rows_per_second >= LEAST_ROWS_PER_SECOND and night["peak_memory_mb"] <= MOST_MEMORY_MB,
        "simulated_mb": simulate["mb"],
        "trained_rows": train["rows"],
    }
    print(json.dumps(report))


def run_part(name: str, folder: Path, rows: int) -> dict[str, Any]:
    """What a part measured in a new process; what it says on the way goes to standard error."""
    command = [sys.executable, __file__, "--part", name, "--folder", str(folder), "--rows", str(rows)]
    environment = os.environ | {"PREFECT_HOME": str(folder / "prefect")}
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured | {"seconds_with_start_up": round(time.perf_counter() - started, 1)}


def simulate(folder: Path, rows: int) -> dict[str, Any]:
    """Writes the small days of the training window and the large night: 30 numbers that ten hidden ones
    explain.
    """
    import numpy as np
    import polars as pl

    draw = np.random.default_rng(42)
    loadings = draw.normal(size=(10, FEATURES))
    days = [(NIGHT - timedelta(days=offset), TRAINING_ROWS) for offset in range(TRAINING_DAYS, 0, -1)] + [
        (NIGHT, rows)
    ]
    for day, count in days:
        values = draw.normal(size=(count, 10)) @ loadings + draw.normal(scale=0.3, size=(count, FEATURES))
        frame = pl.DataFrame({"id": np.arange(count)} | dict(zip(NAMES, values.T, strict=True)))
        partition_file(folder, day).parent.mkdir(parents=True)
        frame.write_parquet(partition_file(folder, day))
    return {"mb": round(partition_file(folder, NIGHT).stat().st_size / 1e6)}


def train(folder: Path, rows: int) -> dict[str, Any]:
    """The champion of the night, so that the night reuses it."""
    from flows.console import show_progress

    show_progress()
    from flows.serving.deployments import retrain

    retrain(folder / "nightscore.toml", NIGHT)
    return {"rows": TRAINING_ROWS * TRAINING_DAYS}


def night(folder: Path, rows: int) -> dict[str, Any]:
    """The night itself, as `nightscore run` runs it, with the seconds of each of its steps."""
    from flows.console import show_progress

    show_progress()
    from flows import nightly as nights
    from flows.serving.deployments import nightly
    from flows.steps import Steps
    from tasks.core.dataset import Dataset

    class Kept(Steps):
        """The steps' times, publishing among them, which the ledger's row cannot hold as it is written by
        then.
        """

        def __init__(self, staging: Path, dataset: Dataset) -> None:
            super().__init__(staging, dataset)
            kept.append(self.durations)

    kept: list[dict[str, float]] = []
    nights.Steps = Kept  # type: ignore[misc]
    done = nightly(folder / "nightscore.toml", NIGHT)
    if (done.status, done.rows_scored) != ("committed", rows):
        raise SystemExit(f"the night is {done.status} with {done.rows_scored} rows scored; {rows} were to be")
    (durations,) = kept
    return {
        "seconds": sum(durations.values()),
        "seconds_by_step": durations,
        "peak_memory_mb": peak_memory_mb(),
    }


def floor(folder: Path, rows: int) -> dict[str, Any]:
    """Parquet to a float32 matrix, through a bare network of the same shape, and its errors into DuckDB."""
    import duckdb
    import numpy as np
    import polars as pl

    from models.device import keras, tf
    from models.encoding.layout import Layout
    from models.networks import dense

    layout = Layout(FEATURES, 0, (), tuple(range(FEATURES)))
    layers = [keras.layers.Dense(units, activation="relu") for units in dense.layers(layout, ModelSettings())]
    network = keras.Sequential([keras.Input((FEATURES,)), *layers, keras.layers.Dense(FEATURES)])
    graph = tf.function(
        lambda x: tf.reduce_mean(tf.square(network(x) - x), axis=1),
        input_signature=[tf.TensorSpec((None, FEATURES))],
    )
    graph(tf.zeros((65_536, FEATURES)))
    con = duckdb.connect(folder / "floor.duckdb")
    con.execute("create table scores (id bigint, error float, is_flagged boolean)")
    started = time.perf_counter()
    frame = pl.read_parquet(partition_file(folder, NIGHT))
    matrix = np.ascontiguousarray(frame.select(pl.col(NAMES).cast(pl.Float32)).to_numpy())
    error = np.concatenate(
        [
            graph(tf.convert_to_tensor(matrix[start : start + 65_536])).numpy()
            for start in range(0, rows, 65_536)
        ]
    )
    scores = pl.DataFrame(  # noqa: F841
        {"id": frame["id"], "error": error, "is_flagged": error > np.quantile(error, 0.99)}
    ).to_arrow()
    con.execute("insert into scores from scores")
    con.close()
    return {"seconds": time.perf_counter() - started}


def partition_file(folder: Path, day: date) -> Path:
    """Where the rows of a day are."""
    return folder / "transactions" / f"date={day}" / "part-0.parquet"


def peak_memory_mb() -> int:
    """The most memory that this process had at once: ru_maxrss is KiB on Linux and bytes on macOS."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


PARTS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "simulate": simulate,
    "train": train,
    "night": night,
    "floor": floor,
}

if __name__ == "__main__":
    main()
