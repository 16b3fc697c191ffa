"""How good detectors are on the public tabular sets of ADBench, from the defaults of the settings.

Each set is trained on the normal rows of the first 70%, in an order drawn by seed 0, and judged on the rest.
Prints one JSON line per set, scorer and training seed, and at the end a Markdown table of the means on
standard error.

    python benchmarks/tabular_sets.py --seeds 3 --model score=neighbours --training epochs=40
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from partitions import DataMissing, public_data
from quality_rows import Row
from sklearn.metrics import average_precision_score, roc_auc_score

from models.checks.baselines import BASELINES
from models.detector.detector import train
from models.detector.score_kinds import DEFAULT as SCORE
from models.networks.architectures import DEFAULT as ARCHITECTURE
from models.settings import ModelSettings, TrainingSettings

DATA = "adbench"
SHARE = 0.7  # of the rows, for training
DETECTOR = "detector"
METRICS = ("auc_roc", "average_precision")
REACH = {"auc_roc": 0.93, "average_precision": 0.65}  # in the mean of the sets
MOST_BEHIND = 0.02  # the best baseline of a set in AUC ROC
MEAN = "mean of the sets"
CHOSEN_ON = "Chosen on these sets, and on no others."

Figures = dict[str, dict[str, list[tuple[float, float]]]]  # by scorer and set: METRICS of each seed


def main() -> None:
    """Trains and judges every set that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", help="this set alone; may be given more than once")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each set")
    parser.add_argument("--model", action="append", default=[], help="KEY=VALUE of [model]")
    parser.add_argument("--training", action="append", default=[], help="KEY=VALUE of [training]")
    parser.add_argument("--baselines", action="store_true", help="judge every baseline as well")
    asked = parser.parse_args()
    model = ModelSettings.model_validate(settings(asked.model))
    training = TrainingSettings.model_validate(settings(asked.training))
    found: Figures = defaultdict(lambda: defaultdict(list))
    try:
        sets = find_sets(asked.only or [])
    except DataMissing as missing:
        raise SystemExit(f"tabular_sets: {missing}") from missing
    for path in sets:
        for seed in range(asked.seeds):
            seeded = training.model_copy(update={"seed": seed})
            for scorer, figures in judge(path, model, seeded, with_baselines=asked.baselines):
                found[scorer][path.stem].append(figures)
                line = dict(zip(METRICS, figures, strict=True))
                print(json.dumps({"set": path.stem, "seed": seed, "scorer": scorer, **line}), flush=True)
    print(table(found), file=sys.stderr)


def rows(seeds: tuple[int, ...]) -> Iterator[Row]:
    """Judges every set with the default of every key, and gives the lines of each set and of their mean."""
    found: Figures = defaultdict(lambda: defaultdict(list))
    counts: dict[str, tuple[int, int]] = {}
    for path in find_sets([]):
        judged = read_set(path)[1]
        counts[path.stem] = judged.height, int(judged["anomaly"].sum())
        for seed in seeds:
            training = TrainingSettings(seed=seed)
            for scorer, figures in judge(path, ModelSettings(), training, with_baselines=True):
                found[scorer][path.stem].append(figures)
    for name in counts:
        of_set = {scorer: np.array(figures[name]) for scorer, figures in found.items()}
        yield from _lines(name, of_set, counts[name])
    means = {scorer: np.mean(list(figures.values()), axis=0) for scorer, figures in found.items()}
    rows, anomalies = zip(*counts.values(), strict=True)
    yield from _lines(MEAN, means, (sum(rows), sum(anomalies)))


def _lines(name: str, figures: dict[str, np.ndarray], counts: tuple[int, int]) -> Iterator[Row]:
    """figures: by scorer, float (seeds, METRICS)."""
    for column, metric in enumerate(METRICS):
        values = {scorer: found[:, column] for scorer, found in figures.items()}
        best = max(found.mean() for scorer, found in values.items() if scorer != DETECTOR)
        reach = REACH[metric] if name == MEAN else best - MOST_BEHIND if metric == "auc_roc" else None
        for scorer, found in values.items():
            own, value = scorer == DETECTOR, float(found.mean())
            yield Row(
                data=DATA,
                protocol=name,
                config="defaults",
                detector=ARCHITECTURE if own else scorer,
                score=SCORE if own else None,
                metric=metric,
                value=value,
                spread=float(found.std()) if len(found) > 1 else None,
                low=None,
                high=None,
                published=None,
                reach=reach if own else None,
                reached=value >= reach if own and reach is not None else None,
                seeds=len(found),
                rows=counts[0],
                positives=counts[1],
                chosen_on=CHOSEN_ON,
            )


def find_sets(only: list[str]) -> list[Path]:
    """The files of the sets of these names; of all where none is named.

    Raises DataMissing where the folder is not there.
    """
    folder = public_data() / DATA
    if not folder.is_dir():
        raise DataMissing(
            f"there is no {folder}; set NIGHTSCORE_DATA to the folder of public data that has it"
        )
    return [path for path in sorted(folder.glob("*.parquet")) if not only or path.stem in only]


def read_set(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The normal rows for training, and the rows to judge; `anomaly` is the label."""
    rows = pl.read_parquet(path)
    order = np.random.default_rng(0).permutation(rows.height)
    count = int(SHARE * rows.height)
    return rows[order[:count]].filter(anomaly=0), rows[order[count:]]


def settings(asked: list[str]) -> dict[str, object]:
    """The keys that were asked for, each with its value: JSON, or a text."""
    return dict(_setting(*each.split("=", 1)) for each in asked)


def _setting(key: str, value: str) -> tuple[str, object]:
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def judge(
    path: Path, model: ModelSettings, training: TrainingSettings, *, with_baselines: bool
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yields AUC ROC and average precision of the detector, and of each baseline."""
    normal, judged = read_set(path)
    features = [name for name in normal.columns if name != "anomaly"]
    detector = train(normal, features, [], model, training)
    labels, encoded = judged["anomaly"].to_numpy(), detector.encoder.encode(judged)
    yield DETECTOR, _figures(labels, detector.score(judged).score)
    for name, fit in BASELINES.items() if with_baselines else ():
        yield name, _figures(labels, fit(detector)(encoded))


def _figures(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    return roc_auc_score(labels, scores), average_precision_score(labels, scores)


def table(found: Figures) -> str:
    """One line per set and one for their mean: AUC ROC / average precision in percent, the mean over the
    seeds and, of several, its spread (standard deviation).
    """
    scorers = list(found)
    lines = [["set", *scorers], ["---"] * (len(scorers) + 1)]
    for name in found[scorers[0]]:
        lines.append([name, *(_shown(np.array(found[scorer][name])) for scorer in scorers)])
    means = [np.mean([found[scorer][name] for name in found[scorer]], axis=0) for scorer in scorers]
    lines.append(["mean", *map(_shown, means)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(figures: np.ndarray) -> str:
    mean, spread = 100 * figures.mean(axis=0), 100 * figures.std(axis=0)
    around = f" ±{spread[0]:.1f} / ±{spread[1]:.1f}" if len(figures) > 1 else ""
    return f"{mean[0]:.1f} / {mean[1]:.1f}{around}"


if __name__ == "__main__":
    main()
