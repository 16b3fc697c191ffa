"""How good detectors are on the public tabular sets of ADBench, from the defaults of the settings.

Each set is trained on the normal rows of the first 70%, in an order drawn by seed 0, and judged on the rest;
`--head` also learns a head from the anomalies of these 70%. Prints one JSON line per set, scorer and training
seed, and at the end a Markdown table of the means on standard error.

    python benchmarks/tabular_sets.py --seeds 3 --model score=neighbours --training epochs=40
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from partitions import DataMissing, public_data
from quality_rows import Row
from sklearn.metrics import average_precision_score, roc_auc_score

from models.checks.baselines import BASELINES
from models.detector.detector import train
from models.detector.head_inputs import inputs_of
from models.detector.score_kinds import DEFAULT as SCORE
from models.head.rows import HeadRows, HeadTraining
from models.networks.architectures import DEFAULT as ARCHITECTURE
from models.networks.fitting import split
from models.settings import HeadSettings, ModelSettings, TrainingSettings

DATA = "adbench"
SHARE = 0.7  # of the rows, for training
UNDATED = date(2000, 1, 1)  # of all rows: without earlier dates there is nothing to try a head on
DETECTOR, WITH_HEAD, HEAD = "detector", "detector with a head", "head alone"
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
    parser.add_argument("--head", action="store_true", help="judge a head on the known anomalies as well")
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
            for scorer, figures in judge(
                path, model, seeded, with_baselines=asked.baselines, with_head=asked.head
            ):
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
            for scorer, figures in judge(
                path, ModelSettings(), training, with_baselines=True, with_head=True
            ):
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
        best = max(found.mean() for scorer, found in values.items() if scorer in BASELINES)
        reach = REACH[metric] if name == MEAN else best - MOST_BEHIND if metric == "auc_roc" else None
        for scorer, found in values.items():
            own, value = scorer == DETECTOR, float(found.mean())
            learnt = scorer not in BASELINES
            yield Row(
                data=DATA,
                protocol=name,
                config="defaults",
                detector=scorer.replace(DETECTOR, ARCHITECTURE),
                score=SCORE if learnt else None,
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
    rows, judged = _read_parts(path)
    return rows.filter(anomaly=0), judged


def _read_parts(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first 70%, and the rows to judge."""
    rows = pl.read_parquet(path)
    order = np.random.default_rng(0).permutation(rows.height)
    count = int(SHARE * rows.height)
    return rows[order[:count]], rows[order[count:]]


def settings(asked: list[str]) -> dict[str, object]:
    """The keys that were asked for, each with its value: JSON, or a text."""
    return dict(_setting(*each.split("=", 1)) for each in asked)


def _setting(key: str, value: str) -> tuple[str, object]:
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def judge(
    path: Path,
    model: ModelSettings,
    training: TrainingSettings,
    *,
    with_baselines: bool,
    with_head: bool = False,
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yields AUC ROC and average precision of the detector, of that with a head and of the head alone where
    they are asked for, and of each baseline.
    """
    learnt, judged = _read_parts(path)
    normal = learnt.filter(anomaly=0)
    features = [name for name in normal.columns if name != "anomaly"]
    head = head_training(learnt, training.seed) if with_head else None
    detector = train(normal, features, [], model, training, head=head)
    labels, encoded = judged["anomaly"].to_numpy(), detector.encoder.encode(judged)
    yield DETECTOR, _figures(labels, detector.autoencoder.scores([encoded])[1])
    if detector.blend is not None:
        columns = inputs_of(detector.autoencoder, encoded).columns
        yield WITH_HEAD, _figures(labels, detector.score(judged).score)
        yield HEAD, _figures(labels, detector.blend.head.log_odds(columns))
    for name, fit in BASELINES.items() if with_baselines else ():
        yield name, _figures(labels, fit(detector)(encoded))


def head_training(learnt: pl.DataFrame, seed: int) -> HeadTraining:
    """What a head is learnt with: the known anomalies, and the normal rows that a training leaves to it."""
    normal, anomalies = learnt.filter(anomaly=0), learnt.filter(anomaly=1)
    left = normal[split(normal.height, seed).validation]
    frame = pl.concat([left, anomalies])
    is_fraud = frame["anomaly"].cast(pl.Boolean).to_numpy()
    rows = HeadRows(
        frame,
        frauds=is_fraud,
        known_then=is_fraud,
        weights=np.where(is_fraud, 1.0, normal.height / left.height),
        dates=np.full(frame.height, np.datetime64(UNDATED)),
        entities=None,
        first=UNDATED,
        last=UNDATED,
    )
    return HeadTraining(HeadSettings(kind="boosted"), rows, seed, label_delay_days=0)


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
