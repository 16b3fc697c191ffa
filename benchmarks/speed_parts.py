"""The parts that `speed.py` times, each in a process of its own: the night, the floor, and the scoring step
in memory. Every part prints one JSON object.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

TRAINING_ROWS, TRAINING_DAYS, FEATURES = 5_000, 7, 30
NIGHT = date(2026, 3, 31)
BATCH_ROWS, PREDICT_ROWS, FLOOR_ROWS, ROWS_IN_MEMORY = 65_536, 8_192, 2_048, 262_144
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
Measured = dict[str, Any]


def simulate(folder: Path, rows: int, bad_share: float) -> Measured:
    """Writes the small days of the training window and the large night: 30 numbers that ten hidden ones
    explain; a share of the night's rows has one that is infinite.
    """
    import numpy as np
    import polars as pl
    import pyarrow.parquet as pq

    draw = np.random.default_rng(42)
    loadings = draw.normal(size=(10, FEATURES))
    days = [NIGHT - timedelta(days=offset) for offset in range(TRAINING_DAYS, -1, -1)]
    for day in days:
        path, count = partition_file(folder, day), rows if day == NIGHT else TRAINING_ROWS
        path.parent.mkdir(parents=True)
        writer = None
        for start in range(0, count, 1_000_000):  # so that a large night fits in memory
            ids = np.arange(start, min(start + 1_000_000, count))
            shape = (len(ids), FEATURES)
            values = draw.normal(size=(len(ids), 10)) @ loadings + draw.normal(scale=0.3, size=shape)
            if day == NIGHT:
                values[draw.random(len(ids)) < bad_share, 0] = np.inf
            part = pl.DataFrame({"id": ids} | dict(zip(NAMES, values.T, strict=True))).to_arrow()
            writer = writer or pq.ParquetWriter(path, part.schema)
            writer.write_table(part)
        assert writer is not None
        writer.close()
    return {"mb": round(partition_file(folder, NIGHT).stat().st_size / 1e6)}


def train(folder: Path, rows: int, bad_share: float) -> Measured:
    """The champion of the night, so that the night reuses it."""
    from flows.console import show_progress

    show_progress()
    from flows.plain import retrain

    retrain(folder / "nightscore.toml", NIGHT)
    return {"rows": TRAINING_ROWS * TRAINING_DAYS}


def night(folder: Path, rows: int, bad_share: float) -> Measured:
    """The night itself, as `nightscore run` runs it, with what each of its steps took."""
    from flows.console import show_progress

    show_progress()
    from flows import nightly as nights
    from flows.plain import nightly
    from flows.steps import Steps

    steps: dict[str, Measured] = {}

    class Measuring(Steps):
        def __call__(self, step: Any, /, *args: Any, **kwargs: Any) -> Any:
            with measured() as found:
                result = super().__call__(step, *args, **kwargs)
            steps[step.name] = found
            return result

    nights.Steps = Measuring  # type: ignore[attr-defined]
    done = nightly(folder / "nightscore.toml", NIGHT)
    if (done.status, done.rows_source) != ("committed", rows):
        raise SystemExit(f"the night is {done.status} with {done.rows_source} rows; {rows} were to be")
    total = {key: sum(step[key] for step in steps.values()) for key in ("seconds", "cpu_seconds")}
    peak = max(step["peak_memory_mb"] for step in steps.values())
    return {**total, "peak_memory_mb": peak, "quarantined": done.rows_quarantined, "steps": steps}


def floor(folder: Path, rows: int, bad_share: float) -> Measured:
    """What no night on this machine can beat: Parquet to float32, through the bare network of the champion,
    and its errors into DuckDB; without validation, calibration, ranks, reasons or a ledger. It streams too.
    """
    import duckdb
    import numpy as np
    import polars as pl
    import pyarrow.parquet as pq

    forward = bare_forward(champion(folder).networks[0])
    database = folder / "floor.duckdb"
    database.unlink(missing_ok=True)
    with duckdb.connect(database) as con, measured() as found:
        con.execute("create table scores (id bigint, error float, is_flagged boolean)")
        ids, errors = [], []
        with pq.ParquetFile(partition_file(folder, NIGHT)) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                frame = pl.DataFrame(batch)
                matrix = frame.select(pl.col(NAMES).cast(pl.Float32)).to_numpy(order="c")
                ids.append(frame["id"].to_numpy())
                errors.append(forward(np.ascontiguousarray(matrix)))
        error = np.concatenate(errors)
        scores = pl.DataFrame(  # noqa: F841
            {"id": np.concatenate(ids), "error": error, "is_flagged": error > np.nanquantile(error, 0.99)}
        ).to_arrow()
        con.execute("insert into scores from scores")
        con.close()
    return found


def in_memory(folder: Path, rows: int, bad_share: float) -> Measured:
    """The scoring step on rows that are in memory, encode to reasons, beside the bare compiled forward of its
    network and Keras's `predict`: rows per second of processor time, the medians of five.
    """
    from statistics import median

    import polars as pl

    detector = champion(folder)
    frame = pl.read_parquet(partition_file(folder, NIGHT), columns=NAMES, n_rows=ROWS_IN_MEMORY)
    frame = frame.filter(pl.col(NAMES[0]).is_finite())
    encoded, network = detector.encoder.encode(frame), detector.networks[0]
    forward = bare_forward(network)

    def step() -> None:
        unlikely = []  # explained together, as in a night
        for batch in frame.iter_slices(BATCH_ROWS):
            p_values = pl.Series(detector.p_values(detector.score(batch).score))
            unlikely.append(batch.filter(p_values <= detector.settings.explain_below))
        detector.reasons(pl.concat(unlikely))

    ways: dict[str, Callable[[], object]] = {
        "scoring_step": step,
        "bare_forward": lambda: forward(encoded),
        "keras_predict": lambda: network.predict(encoded, batch_size=PREDICT_ROWS, verbose=0),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(6):
        for name, way in ways.items():
            started = time.process_time()
            way()
            seconds[name] += [time.process_time() - started] if turn else []  # the first one compiles
    return {name: round(frame.height / median(found)) for name, found in seconds.items()}


def champion(folder: Path) -> Any:
    """The detector of the night."""
    from flows.settings import load_settings
    from tasks.registry.artifact_store import load
    from tasks.registry.versions import find_champion

    settings = load_settings(folder / "nightscore.toml")
    version = find_champion(settings, settings.open_warehouse(), NIGHT)
    assert version is not None
    return load(version.path, version.sha256)


def bare_forward(network: Any) -> Callable[[Any], Any]:
    """The errors of a matrix of rows by a network alone, compiled by XLA for one shape, the one that was the
    fastest of 2,048, 8,192 and 65,536 rows.
    """
    import numpy as np

    from models.device import tf

    graph = tf.function(
        lambda rows: tf.reduce_mean(tf.square(network(rows, training=False) - rows), axis=1),
        jit_compile=True,
    )

    def errors(rows: Any) -> Any:
        padded = np.pad(rows, ((0, -len(rows) % FLOOR_ROWS), (0, 0)))
        found = [graph(part).numpy() for part in np.split(padded, len(padded) // FLOOR_ROWS)]
        return np.concatenate(found)[: len(rows)]

    errors(np.zeros((1, FEATURES), np.float32))
    return errors


@contextmanager
def measured() -> Iterator[Measured]:
    """Yields what the block took, once it has ended: seconds, CPU seconds, cores, and the peak of memory."""
    found: Measured = {}
    reset_peak()
    started, used = time.perf_counter(), time.process_time()
    yield found
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    found |= {"seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3)}
    found |= {"cores": round(cpu / max(seconds, 1e-3), 2), "peak_memory_mb": peak_memory_mb()}


def reset_peak() -> None:
    """Starts the peak of memory anew, where the system can (Linux)."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> int:
    """The most memory that this process had since `reset_peak`; elsewhere than on Linux, at all."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(line.split()[1]) * 1024 / 1e6)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def partition_file(folder: Path, day: date) -> Path:
    """Where the rows of a day are."""
    return folder / "transactions" / f"date={day}" / "part-0.parquet"


PARTS = {each.__name__: each for each in (simulate, train, night, floor, in_memory)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("bad_share", type=float)
    asked = parser.parse_args()
    sys.stdout.flush()
    print(json.dumps(PARTS[asked.part](asked.folder, asked.rows, asked.bad_share)))
