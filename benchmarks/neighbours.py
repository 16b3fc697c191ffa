"""How many reference rows the nearest neighbours need, and how they are found fastest.

Prints one JSON line per number of reference rows: the mean AUC ROC and average precision over the tabular
sets of ADBench, and the rows per second of 30 features by our graph and by the indexes of scikit-learn.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from tabular_sets import find_sets, read_set

from models.detector import neighbours
from models.detector.batches import run
from models.device import tf
from models.encoding.encoder import Encoder
from models.encoding.layout import Layout
from models.encoding.samples import Encoded

COUNTS = (512, 1_024, 2_048, 4_096, 8_192)
FEATURES, TIMED_ROWS = 30, 16_384
INDEXES = ("brute", "kd_tree", "ball_tree")

Distances = Callable[[Encoded], np.ndarray]


def main() -> None:
    """Measures every number of reference rows."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    sets = [_encoded(*read_set(path)) for path in find_sets([])]
    for count in COUNTS:
        figures = np.mean([_figures(*each, count) for each in sets], axis=0)
        line = {"reference_rows": count, "auc_roc": figures[0], "average_precision": figures[1]}
        print(json.dumps(line | _rows_per_second(count)), flush=True)


def graph_distances(reference: Encoded, layout: Layout) -> Distances:
    """The mean distance from the nearest rows, as detectors compute it."""
    graph = tf.function(
        lambda rows: neighbours.contributions(rows, reference, layout), jit_compile=True, autograph=False
    )
    return lambda rows: run(graph, [rows], neighbours.ROWS)[0].sum(axis=1)


def _encoded(normal, judged) -> tuple[Encoded, Encoded, np.ndarray, Layout]:  # type: ignore[no-untyped-def]
    encoder = Encoder.fit(normal, [name for name in normal.columns if name != "anomaly"], [])
    return encoder.encode(normal), encoder.encode(judged), judged["anomaly"].to_numpy(), encoder.layout


def _figures(
    training: Encoded, judged: Encoded, labels: np.ndarray, layout: Layout, count: int
) -> tuple[float, float]:
    reference = training[np.random.default_rng(0).permutation(len(training))[:count]]
    scores = graph_distances(reference, layout)(judged)
    return roc_auc_score(labels, scores), average_precision_score(labels, scores)


def _rows_per_second(count: int) -> dict[str, int]:
    """Of the graph, and of each index of scikit-learn; each is warmed up first, and the best of three."""
    draw = np.random.default_rng(0)
    rows = (draw.normal(size=(count + TIMED_ROWS, 10)) @ draw.normal(size=(10, FEATURES)) / 3).astype("f4")
    reference, timed = rows[:count], rows[count:]
    layout = Layout(FEATURES, 0, (), tuple(range(FEATURES)))
    methods = {"graph": graph_distances(reference, layout)}
    for name in INDEXES:
        index = NearestNeighbors(n_neighbors=neighbours.NEIGHBOURS, algorithm=name).fit(reference)
        methods[name] = partial(_mean_distances, index)
    return {f"{name}_rows_per_second": _best(method, timed) for name, method in methods.items()}


def _mean_distances(index: NearestNeighbors, rows: Encoded) -> np.ndarray:
    distances: np.ndarray = index.kneighbors(rows)[0].mean(axis=1)
    return distances


def _best(method: Distances, rows: Encoded) -> int:
    method(rows[: neighbours.ROWS])
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        method(rows)
        seconds.append(time.perf_counter() - started)
    return round(len(rows) / min(seconds))


if __name__ == "__main__":
    main()
