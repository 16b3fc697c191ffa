"""The graphs of scorers, shared by all that differ in their weights and in what they measure rows against."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from models.detector.calibration import Normality
from models.device import tf
from models.encoding.layout import Layout
from models.graphs import Graph, Tensors, weighing

if TYPE_CHECKING:
    from models.detector.scorer import Scorer

MOST_FORMS = 32  # graphs kept in memory

# from encoded rows (rows, width) to tensors of as many rows
Part = Callable[["Scorer", tf.Tensor], Tensors]


@dataclass(frozen=True)
class Form:
    """What scorers have in common that share a graph. scorer: the first of them, which is traced."""

    scorer: "Scorer" = field(compare=False)
    part: Part
    networks: tuple[str, ...]
    layout: Layout
    parts: tuple[str, ...]
    draws: int


@lru_cache(MOST_FORMS)
def graph_of(found_by: Form) -> Graph:
    """Returns the graph of one part of a scorer: from encoded rows, weights of its networks and normality."""
    scorer = found_by.scorer

    def calculate(
        encoded: tf.Tensor,
        given: list[list[tf.Tensor]],
        measured: dict[str, tf.Tensor],
        without_itself: tf.Tensor,
    ) -> Tensors:
        traced = replace(scorer, normality=Normality(**measured), without_itself=without_itself)
        with weighing(scorer.networks, given):
            return found_by.part(traced, encoded)

    return Graph(calculate)
