"""How fast a night is, from Parquet to committed results, through the same flow as every night; and how near
to the floor: the bare reading, network and insert on the same machine.

Prints one JSON object, and a table on standard error; `make bench-speed` runs it. Nights and floors take
turns, and the figures are medians: other processes disturb both alike, and the load of the machine is noted.
Each part runs in a process of its own, so that the night's memory is the night's alone.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from speed_parts import CONFIG, FEATURES

WAREHOUSE = "nightscore.duckdb"
MOST_TIMES_THE_FLOOR, MOST_MEMORY_MB, LEAST_SHARE = 3.0, 2_000, 0.6


def main() -> None:
    """Runs every part in turn and prints what they measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the night")
    parser.add_argument(
        "--score", default="error", help="of the model; docs/performance.md has the default one"
    )
    parser.add_argument(
        "--hidden", default="", help="units of the layers of a dense network, such as 14,7,4,7,14"
    )
    parser.add_argument("--bad-share", type=float, default=0.01, help="of the night's rows")
    parser.add_argument("--repeat", type=int, default=3, help="nights and floors; medians are shown")
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="nightscore-speed-") as name:
        folder = Path(name)
        (folder / "nightscore.toml").write_text(CONFIG + model_section(asked.score, asked.hidden))
        run = partial(run_part, folder=folder, rows=asked.rows, bad_share=asked.bad_share)
        run("simulate")
        run("train")
        shutil.copy(folder / WAREHOUSE, folder / "trained.duckdb")
        nights, floors = [], []
        for _ in range(asked.repeat):
            floors.append(run("floor"))
            shutil.copy(folder / "trained.duckdb", folder / WAREHOUSE)
            nights.append(run("night"))
        shutil.copy(folder / "trained.duckdb", folder / WAREHOUSE)
        memory = run("in_memory")
    report = report_of(asked, nights, floors, memory)
    print_table(report)
    print(json.dumps(report))


def model_section(score: str, hidden: str) -> str:
    """The section [model] of the configuration."""
    layers = f'architecture = "dense"\nhidden = [{hidden}]\n' if hidden else ""
    return f'\n[model]\nscore = "{score}"\n{layers}'


def run_part(name: str, folder: Path, rows: int, bad_share: float) -> dict[str, Any]:
    """What a part measured in a new process; what it says on the way goes to standard error."""
    script = Path(__file__).with_name("speed_parts.py")
    command = [sys.executable, str(script), name, str(folder), str(rows), str(bad_share)]
    started, load = time.perf_counter(), os.getloadavg()[0]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"seconds_with_start_up": round(time.perf_counter() - started, 1), "load_before": load}


def report_of(
    asked: argparse.Namespace,
    nights: list[dict[str, Any]],
    floors: list[dict[str, Any]],
    memory: dict[str, Any],
) -> dict[str, Any]:
    """The medians, the spread of the totals, and what of the goals is met."""
    steps = {
        step: {key: median(night["steps"][step][key] for night in nights) for key in values}
        for step, values in nights[0]["steps"].items()
    }
    times = median(night["seconds"] for night in nights) / median(floor["seconds"] for floor in floors)
    of_cpu = median(n["cpu_seconds"] for n in nights) / median(f["cpu_seconds"] for f in floors)
    peak = max(night["peak_memory_mb"] for night in nights)
    share = memory["scoring_step"] / memory["bare_forward"]
    return {
        "rows": asked.rows,
        "features": FEATURES,
        "score": asked.score,
        "hidden": asked.hidden or "default",
        "rows_quarantined": nights[0]["quarantined"],
        "night": summary(nights),
        "floor": summary(floors),
        "steps": steps,
        "rows_per_second": round(asked.rows / median(night["seconds"] for night in nights)),
        "times_the_floor": round(times, 2),
        "times_the_floor_cpu": round(of_cpu, 2),
        "peak_memory_mb": peak,
        "in_memory_rows_per_cpu_second": {
            name: memory[name] for name in ("scoring_step", "bare_forward", "keras_predict")
        },
        "share_of_bare_forward": round(share, 2),
        "loads": [each["load_before"] for each in (*nights, *floors)],
        "met": {
            f"at most {MOST_TIMES_THE_FLOOR:g} times the floor": times <= MOST_TIMES_THE_FLOOR,
            f"at most {MOST_MEMORY_MB:,} MB": peak <= MOST_MEMORY_MB,
            f"in memory, at least {LEAST_SHARE:.0%} of the bare forward": share >= LEAST_SHARE,
        },
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of the seconds and CPU seconds, and the lowest and highest seconds."""
    seconds = [run["seconds"] for run in runs]
    return {
        "seconds": round(median(seconds), 2),
        "spread": [round(min(seconds), 2), round(max(seconds), 2)],
        "cpu_seconds": round(median(run["cpu_seconds"] for run in runs), 2),
        "peak_memory_mb": max(run["peak_memory_mb"] for run in runs),
    }


def print_table(report: dict[str, Any]) -> None:
    """Prints one line per step, the night and the floor, on standard error."""
    columns = ("seconds", "cpu_seconds", "cores", "peak_memory_mb")
    lines = {**report["steps"], "night": report["night"], "floor": report["floor"]}
    print("".join([f"{'':<16}", *(f"{column:>16}" for column in columns)]), file=sys.stderr)
    for name, line in lines.items():
        cores = line.get("cores", round(line["cpu_seconds"] / max(line["seconds"], 1e-3), 2))
        cells = (f"{ {**line, 'cores': cores}[column]:>16}" for column in columns)
        print("".join([f"{name:<16}", *cells]), file=sys.stderr)
    print(f"{report['times_the_floor']} times the floor", file=sys.stderr)


if __name__ == "__main__":
    main()
