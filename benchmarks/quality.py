"""How good the detectors are: the public protocols, each through the same flow as every night, from the files
of examples/, the tabular sets of ADBench from the defaults, and heads from which a kind of fraud was
withheld.

Prints one JSON line per figure, the mean over trainings with several random seeds, and at the end a Markdown
table on standard error; `make bench-quality` runs it. A baseline has no threshold, so its precision, recall,
F1 and accuracy are those of as many flags as the detector's.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import tabular_sets
import withheld_kinds
from partitions import SETS, DataMissing, public_data, write
from protocols import PROTOCOLS, WEEKS, Protocol
from quality_figures import Figures, figures_of, mean, mean_over_seeds, spread
from quality_rows import Row, table

from models.checks.baselines import BASELINES
from tasks.core.evaluation_result import DETECTOR, Evaluation
from tasks.core.populations import ALL
from tasks.registry.listing import ListedVersion, list_versions

EXAMPLES = Path(__file__).parents[1] / "examples"
TIE = 1e-9  # a figure is worse than another by more than the rounding of their sums
# Members of an ensemble have the seeds that follow: the steps are so wide that no two trainings share one.
SEEDS = tuple(range(42, 1_000, 100))


def main() -> None:
    """Runs the protocols that are asked for, one after the other; status 1 where one of them could not be
    run.
    """
    names = {name for protocol in PROTOCOLS for name in (protocol.data, protocol.config)}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        choices=sorted({*names, tabular_sets.DATA, withheld_kinds.DATA}),
        action="append",
        help="this data set or configuration alone; may be given more than once",
    )
    parser.add_argument(
        "--seeds", type=int, choices=range(1, len(SEEDS) + 1), default=3, help="trainings of each protocol"
    )
    parser.add_argument(
        "--weeks",
        type=int,
        choices=range(1, len(WEEKS) + 1),
        default=len(WEEKS),
        help=f"of {withheld_kinds.DATA}, the first so many of its weeks",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="keep partitions, warehouses, models and reports here; else they are removed",
    )
    asked = parser.parse_args()
    chosen = [
        protocol
        for protocol in PROTOCOLS
        if not asked.only or {protocol.data, protocol.config} & set(asked.only)
    ]
    seeds = SEEDS[: asked.seeds]
    with TemporaryDirectory(prefix="nightscore-quality-") as temporary:
        folder = (asked.folder or Path(temporary)).absolute()
        rows, failures = run_all(chosen, folder, seeds)
        if not asked.only or withheld_kinds.DATA in asked.only:
            example = EXAMPLES / f"{withheld_kinds.EXAMPLE}.toml"
            print(withheld_kinds.print_table(example, folder, WEEKS[: asked.weeks], seeds), file=sys.stderr)
    if not asked.only or tabular_sets.DATA in asked.only:
        rows += kept(lambda: tabular_sets.rows(seeds), tabular_sets.DATA, failures)
    print(table(rows), file=sys.stderr)
    if failures:
        raise SystemExit("\n".join(f"quality: {failure}" for failure in failures))


def run_all(
    protocols: Sequence[Protocol], folder: Path, seeds: tuple[int, ...]
) -> tuple[list[Row], list[str]]:
    """Prints the lines of each protocol as soon as it is judged; gives all of them, and why a protocol could
    not be run.
    """
    from flows.console import show_progress

    folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(NIGHTSCORE_DATA=str(public_data()), NIGHTSCORE_PARTITIONS=str(folder / "partitions"))
    show_progress()
    rows: list[Row] = []
    failures: list[str] = []
    if not protocols:
        return rows, failures
    for protocol in protocols:
        rows += kept(partial(run, protocol, folder, seeds), protocol.config, failures)
    return rows, failures


def kept(found: Callable[[], Iterable[Row]], name: str, failures: list[str]) -> list[Row]:
    """Prints and returns the lines that were found; adds to the failures why there are none."""
    from flows.console import EXPECTED

    try:
        rows = list(found())
    except (*EXPECTED, DataMissing) as error:
        failures.append(f"{name} was not judged: {error}")
        return []
    for row in rows:
        print(json.dumps(asdict(row)), flush=True)
    return rows


def run(protocol: Protocol, folder: Path, seeds: tuple[int, ...]) -> Iterator[Row]:
    """Scores and judges the nights of a protocol, for each seed in a warehouse of its own."""
    if protocol.data in SETS:
        write(protocol.data, public_data(), folder / "partitions")
    elif not (public_data() / protocol.data).is_dir():
        raise DataMissing(
            f"there is no {public_data() / protocol.data}; set NIGHTSCORE_DATA to the folder of public "
            "data that has it"
        )
    example = EXAMPLES / f"{protocol.config}.toml"
    configs = [seeded(example, folder, seed, protocol.head) for seed in seeds]
    delay = timedelta(days=protocol.label_delay_days)
    judged = [
        [evaluated(config, *window, window[1] + delay) for window in protocol.windows] for config in configs
    ]
    by_seed = [mean([figures_of(window) for window in windows]) for windows in judged]
    version = newest_version(configs[0])
    means = mean_over_seeds(by_seed)
    found = {name: figures for name, figures in means.items() if name in (protocol.judged, *BASELINES)}
    has_head = protocol.judged == DETECTOR and version.training.get("head")
    for detector, figures in found.items():
        own = detector == protocol.judged
        for metric in protocol.metrics:
            figure = figures[metric]
            reach, reached = _reach(protocol, found, metric) if own else (None, None)
            yield Row(
                data=protocol.data,
                protocol=protocol.about,
                config=protocol.config,
                detector=f"{version.architecture}{' with a head' if has_head else ''}" if own else detector,
                score=version.score if own else None,
                metric=metric,
                value=figure.value,
                spread=spread([each[detector][metric].value for each in by_seed]),
                low=figure.low,
                high=figure.high,
                published=protocol.published.get(metric) if own else None,
                reach=reach,
                reached=reached,
                seeds=len(seeds),
                rows=sum(window.rows for window in judged[0]),
                positives=sum(window.positives or 0 for window in judged[0]),
                chosen_on=chosen_on(configs[0].read_text()),
            )


def seeded(example: Path, folder: Path, seed: int, head: str | None = None) -> Path:
    """Writes the configuration with this random seed, and this kind of head, into a folder of its own, and
    gives its path.
    """
    config = folder / f"{example.stem}{'' if head is None else '-head'}" / f"seed-{seed}" / "nightscore.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    text = example.read_text().replace("[training]\n", f"[training]\nseed = {seed}\n")
    config.write_text(text if head is None else f'{text}\n[head]\nkind = "{head}"\n')
    return config


def newest_version(config: Path) -> ListedVersion:
    """What was trained with a configuration."""
    from flows.settings import load_settings

    return list_versions(load_settings(config).open_warehouse(), ALL)[0]


@cache
def evaluated(config: Path, first: date, last: date, as_of: date) -> Evaluation:
    """A window of nights, which several protocols may have."""
    from flows.plain import evaluate

    found: Evaluation = evaluate(config, first, last, as_of)[0]
    return found


def chosen_on(text: str) -> str:
    """What a configuration says in the comment above [model]: on which rows it was chosen.

    Raises ValueError where it says nothing.
    """
    comment = re.search(r"((?:^#.*\n)+)\[model\]", text, re.MULTILINE)
    if comment is None:
        raise ValueError(
            "a file of examples/ needs a comment above [model] that says on which rows it was chosen"
        )
    return " ".join(line.lstrip("# ") for line in comment[1].splitlines())


def _reach(protocol: Protocol, found: dict[str, Figures], metric: str) -> tuple[float | None, bool | None]:
    """What the detector is to reach, a figure or the best of its rivals, and whether it does."""
    value = found[protocol.judged][metric].value
    no_model = found["no_model"][metric].value
    reach = 2 * no_model if metric in protocol.doubled and no_model else protocol.reach.get(metric)
    if reach is None:
        if metric not in protocol.unbeaten:
            return None, None
        rivals = [name for name in found if name != protocol.judged]
        reach = max(other for name in rivals if (other := found[name][metric].value) is not None)
    return reach, value is not None and value >= reach - TIE


if __name__ == "__main__":
    main()
