"""Gradient boosted trees on known frauds and normal rows (LightGBM; Ke et al., 2017), kept as their text."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.head.library import load_library

Floats = NDArray[np.float64]
ROUNDS = 200
EVERY = 0  # processor; each row is predicted by one thread, so that their number changes no bit
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "lambda_l2": 1.0,
    "feature_fraction": 0.8,
    # the same rows give the same trees, to the last bit
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Boosted:
    """text: the trees, as LightGBM writes them; reading it gives the same log odds to the last bit.

    least: log odds that no row is below, the sum of the lowest leaf of every tree.
    """

    text: str
    least: float

    @cached_property
    def _trees(self) -> Any:
        library = load_library()
        try:
            return library.Booster(model_str=self.text)
        except library.basic.LightGBMError as error:
            raise ArtifactError(
                f"the trees of the head cannot be read ({error}); train the version again"
            ) from error

    def log_odds(self, inputs: NDArray[np.float32]) -> Floats:
        """Returns the log odds of fraud above the least ones, float64 (rows,), at least 0.

        inputs: float32 (rows, inputs), as `fit` had them.
        """
        if not len(inputs):
            return np.zeros(0)
        raw = self._trees.predict(inputs, raw_score=True, num_threads=EVERY)
        return np.maximum(np.asarray(raw, np.float64) - self.least, 0.0)

    def contributions(self, inputs: NDArray[np.float32]) -> Floats:
        """Returns what each input adds to the log odds of a row, float64 (rows, inputs), less than 0 where it
        speaks against fraud: Shapley values of the trees (Lundberg et al., 2020). A row's sum is its log odds
        less the mean ones of the rows that were learnt.
        """
        if not len(inputs):
            return np.zeros(inputs.shape)
        found = self._trees.predict(inputs, pred_contrib=True, num_threads=EVERY)
        return np.asarray(found, np.float64)[:, :-1]


def fit(
    inputs: NDArray[np.float32], frauds: NDArray[np.bool_], weights: NDArray[np.float64], seed: int
) -> Boosted:
    """Learns to tell frauds from normal rows.

    inputs: float32 (rows, inputs). frauds: bool (rows,), some of them True, others not. weights: float
    (rows,), how many rows each stands for.
    Raises HeadUnavailable where the library cannot be loaded.
    """
    library = load_library()
    rows = library.Dataset(inputs, frauds.astype(np.float64), weight=weights, params=PARAMETERS)
    trees = library.train(PARAMETERS | {"seed": seed}, rows, num_boost_round=ROUNDS)
    structures = [tree["tree_structure"] for tree in trees.dump_model()["tree_info"]]
    return Boosted(trees.model_to_string(), float(sum(min(_leaves(each)) for each in structures)))


def _leaves(node: dict[str, Any]) -> list[float]:
    if "leaf_value" in node:
        return [float(node["leaf_value"])]
    return [*_leaves(node["left_child"]), *_leaves(node["right_child"])]
