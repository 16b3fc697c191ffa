"""How good the detectors are: the public protocols, each through the same flow as every night, from the files
of examples/.

Prints one JSON line per figure, and at the end a Markdown table on standard error; `make bench-quality` runs
it. A baseline has no threshold, so its precision, recall, F1 and accuracy are those of as many flags as the
detector's.
"""

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from partitions import SETS, DataMissing, public_data, write
from protocols import PROTOCOLS, Protocol

from tasks.core.evaluation_result import DETECTOR, Confusion, Curve, Evaluation, Figure

EXAMPLES = Path(__file__).parents[1] / "examples"
PRECISION = 0.60  # recall is told at this precision
TIE = 1e-9  # a figure is better than another by more than the rounding of their sums

SHOWN = (
    "no_model",
    "untrained_network",
    "isolation_forest",
)  # baselines with a column of their own in the table

Figures = dict[str, Figure]


@dataclass(frozen=True)
class Row:
    """One figure of one detector; low and high bound its 95% interval, rows and positives are what it was
    measured on.
    """

    data: str
    protocol: str
    config: str
    detector: str
    score: str | None
    metric: str
    value: float | None
    low: float | None
    high: float | None
    published: float | None
    reach: float | None
    reached: bool | None
    rows: int
    positives: int
    chosen_on: str


def main() -> None:
    """Runs the protocols that are asked for, one after the other; status 1 where one of them could not be
    run.
    """
    names = sorted({name for protocol in PROTOCOLS for name in (protocol.data, protocol.config)})
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        choices=names,
        action="append",
        help="this data set or configuration alone; may be given more than once",
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
    with TemporaryDirectory(prefix="nightscore-quality-") as temporary:
        rows, failures = run_all(chosen, (asked.folder or Path(temporary)).absolute())
    print(table(rows), file=sys.stderr)
    if failures:
        raise SystemExit("\n".join(f"quality: {failure}" for failure in failures))


def run_all(protocols: Iterable[Protocol], folder: Path) -> tuple[list[Row], list[str]]:
    """Prints the lines of each protocol as soon as it is judged; gives all of them, and why a protocol could
    not be run.
    """
    from flows.console import EXPECTED, show_progress
    from flows.serving.prefect_server import starting_server

    folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(NIGHTSCORE_DATA=str(public_data()), NIGHTSCORE_PARTITIONS=str(folder / "partitions"))
    os.environ.setdefault("PREFECT_HOME", str(folder / "prefect"))
    show_progress()
    with starting_server():
        import flows.evaluation  # noqa: F401  what takes long to load
    rows: list[Row] = []
    failures: list[str] = []
    for protocol in protocols:
        try:
            found = list(run(protocol, folder))
        except (*EXPECTED, DataMissing) as error:
            failures.append(f"{protocol.config} was not judged: {error}")
            continue
        for row in found:
            print(json.dumps(asdict(row)), flush=True)
        rows += found
    return rows, failures


def run(protocol: Protocol, folder: Path) -> Iterator[Row]:
    """Scores and judges the nights of a protocol in a warehouse of their configuration's own."""
    from flows.serving.deployments import evaluate
    from flows.settings import load_settings

    if protocol.data in SETS:
        write(protocol.data, public_data(), folder / "partitions")
    elif not (public_data() / protocol.data).is_dir():
        raise DataMissing(
            f"there is no {public_data() / protocol.data}; set NIGHTSCORE_DATA to the folder of public "
            "data that has it"
        )
    config = folder / protocol.config / "nightscore.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(EXAMPLES / f"{protocol.config}.toml", config)
    settings = load_settings(config)
    windows = [
        evaluate(config, *window, window[1] + timedelta(days=protocol.label_delay_days))[0]
        for window in protocol.windows
    ]
    found = mean([figures_of(window) for window in windows])
    for detector, figures in found.items():
        own = detector == DETECTOR
        for metric in protocol.metrics:
            figure = figures[metric]
            reach, reached = _reach(protocol, found, metric) if own else (None, None)
            yield Row(
                data=protocol.data,
                protocol=protocol.about,
                config=protocol.config,
                detector=settings.model.architecture if own else detector,
                score=settings.model.score if own else None,
                metric=metric,
                value=figure.value,
                low=figure.low,
                high=figure.high,
                published=protocol.published.get(metric) if own else None,
                reach=reach,
                reached=reached,
                rows=sum(window.rows for window in windows),
                positives=sum(window.positives or 0 for window in windows),
                chosen_on=chosen_on(config.read_text()),
            )


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


def figures_of(judged: Evaluation) -> dict[str, Figures]:
    """Every figure of the detector (DETECTOR) and of each baseline, by name."""
    assert judged.ranking is not None
    assert judged.confusion is not None
    own = judged.confusion
    frauds, flags = own.tp + own.fn, own.tp + own.fp
    found = {}
    for name, ranked in {DETECTOR: judged.ranking.detector, **judged.ranking.baselines}.items():
        counts = (
            own if name == DETECTOR else confusion_at(judged.curves[name].roc, frauds, own.fp + own.tn, flags)
        )
        at_precision = Figure(recall_at_precision(judged.curves[name].precision_recall, PRECISION))
        found[name] = {**verdicts(counts), f"recall_at_precision_{PRECISION:.2f}": at_precision, **ranked}
    return found


def confusion_at(roc: Curve, frauds: float, normals: float, flags: float) -> Confusion:
    """The confusion matrix of the `flags` highest rows; of rows with equal scores an equal share is
    flagged.
    """
    true_rate = float(np.interp(flags, np.array(roc.x) * normals + np.array(roc.y) * frauds, roc.y))
    tp = true_rate * frauds
    return Confusion(tp=tp, fp=flags - tp, fn=frauds - tp, tn=normals - flags + tp)


def verdicts(counts: Confusion) -> Figures:
    """Precision, recall, F1 and accuracy from a confusion matrix with frauds and flags in it."""
    rows = counts.tp + counts.fp + counts.fn + counts.tn
    return {
        "precision": Figure(counts.tp / (counts.tp + counts.fp)),
        "recall": Figure(counts.tp / (counts.tp + counts.fn)),
        "f1": Figure(2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn)),
        "accuracy": Figure((counts.tp + counts.tn) / rows),
    }


def recall_at_precision(curve: Curve, precision: float) -> float:
    """The highest recall of a precision-recall curve at this precision or a higher one; 0 where it is never
    reached.
    """
    return max(
        (recall for recall, reached in zip(curve.x, curve.y, strict=True) if reached >= precision),
        default=0.0,
    )


def mean(windows: list[dict[str, Figures]]) -> dict[str, Figures]:
    """The mean of every figure over the windows; one window keeps its intervals, and of several there are
    none.
    """
    first = windows[0]
    if len(windows) == 1:
        return first
    return {
        name: {metric: _mean([window[name][metric].value for window in windows]) for metric in first[name]}
        for name in first
    }


def _mean(values: list[float | None]) -> Figure:
    known = [value for value in values if value is not None]
    return Figure(sum(known) / len(known) if len(known) == len(values) else None)


def _reach(protocol: Protocol, found: dict[str, Figures], metric: str) -> tuple[float | None, bool | None]:
    """What the detector is to reach, a figure or more than the best of its rivals, and whether it does."""
    value = found[DETECTOR][metric].value
    if metric in protocol.reach:
        return protocol.reach[metric], value is not None and value >= protocol.reach[metric]
    if metric not in protocol.beat:
        return None, None
    rivals = protocol.rivals or [name for name in found if name != DETECTOR]
    best = max(other for name in rivals if (other := found[name][metric].value) is not None)
    return best, value is not None and value > best + TIE


def table(rows: list[Row]) -> str:
    """One Markdown line for each figure of a detector: its value beside those of baselines, the published one
    and the one to reach.

    What a line shares with the one above is not repeated.
    """
    head = [
        "data",
        "protocol",
        "detector",
        "metric",
        "value (95% interval)",
        *map(_words, SHOWN),
        "best baseline",
        "published",
        "to reach",
    ]
    lines = [head, ["---"] * len(head)]
    above: list[str] = []
    for row in (row for row in rows if row.score is not None):
        rivals = {
            other.detector: other.value
            for other in rows
            if other.score is None
            and (other.config, other.protocol, other.metric) == (row.config, row.protocol, row.metric)
        }
        best = max(rivals, key=lambda name: rivals[name] or 0.0)
        interval = "" if row.low is None or row.high is None else f" ({row.low:.3f}-{row.high:.3f})"
        where = [row.data, row.protocol, f"{row.detector}, {row.score}"]
        figures = [
            _shown(row.value) + interval,
            *(_shown(rivals[name]) for name in SHOWN),
            f"{_shown(rivals[best])} {_words(best)}",
        ]
        lines.append(
            [
                *(where if where != above else ["", "", ""]),
                _words(row.metric),
                *figures,
                _shown(row.published),
                _to_reach(row),
            ]
        )
        above = where
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _to_reach(row: Row) -> str:
    return "" if row.reach is None else f"{row.reach:.3f}: {'reached' if row.reached else 'not reached'}"


if __name__ == "__main__":
    main()
