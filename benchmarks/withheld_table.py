"""The table of heads from which a kind of fraud was withheld: by week, the mean over random seeds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from withheld_lists import BOTH, LISTS, NETWORKS, SHARED

KEPT, COST = 0.9, 0.01  # of what the networks find of a kind, at least; of card precision, at most


@dataclass(frozen=True)
class Line:
    """One week and seed. list: a key of LISTS.

    auc_roc, average_precision, card_precision: of the list, the head with all labels; see ListFigures.
    found: by kind, its frauds on the list where its labels were withheld from the head. frauds: all of them.
    rows: that were judged.
    """

    week: str
    seed: int
    list: str
    auc_roc: float | None
    average_precision: float | None
    card_precision: float
    found: dict[str, int]
    frauds: dict[str, int]
    rows: int


def table(lines: list[Line]) -> str:
    """One Markdown line per week and list, the mean over the seeds and its standard deviation, and whether
    the shared list keeps enough of each kind, at what cost; last, the weeks together.
    """
    kinds = sorted({kind for line in lines for kind in line.frauds})
    figures = ["AUC ROC", "average precision", "card precision at 100"]
    head = ["week", "list", *figures, *(f"kind {kind} withheld" for kind in kinds), "aims"]
    written = [head, ["---"] * len(head)]
    lines = [*lines, *_of_all_weeks(lines)]
    for week in dict.fromkeys(line.week for line in lines):
        of_week = [line for line in lines if line.week == week]
        of_list = {name: [line for line in of_week if line.list == name] for name in LISTS}
        for name, each in of_list.items():
            cells = [
                _around(line.auc_roc for line in each),
                _around(line.average_precision for line in each),
                _around(line.card_precision for line in each),
                *(f"{_counted(each, kind)} of {each[0].frauds[kind]}" for kind in kinds),
            ]
            written.append([week, name, *cells, _aims(of_list, kinds) if name == SHARED else ""])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in written)


def _of_all_weeks(lines: list[Line]) -> Iterator[Line]:
    """For each list and seed, the mean figures of the weeks and the sums of the counts; nothing for one
    week.
    """
    if len({line.week for line in lines}) == 1:
        return
    for name, seed in dict.fromkeys((line.list, line.seed) for line in lines):
        weeks = [line for line in lines if (line.list, line.seed) == (name, seed)]
        yield Line(
            "all",
            seed,
            name,
            _mean([week.auc_roc for week in weeks]),
            _mean([week.average_precision for week in weeks]),
            float(np.mean([week.card_precision for week in weeks])),
            found=_sums([week.found for week in weeks]),
            frauds=_sums([week.frauds for week in weeks]),
            rows=sum(week.rows for week in weeks),
        )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _sums(counts: list[dict[str, int]]) -> dict[str, int]:
    return {kind: sum(each.get(kind, 0) for each in counts) for each in counts for kind in each}


def _counted(lines: list[Line], kind: str) -> str:
    return f"{_found(lines, kind):.1f}".removesuffix(".0")


def _around(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    return f"{np.mean(known):.3f}" + (f" ±{np.std(known):.3f}" if len(known) > 1 else "")


def _found(lines: list[Line], kind: str) -> float:
    return float(np.mean([line.found[kind] for line in lines]))


def _aims(of_list: dict[str, list[Line]], kinds: list[str]) -> str:
    alone, shared = of_list[NETWORKS], of_list[SHARED]
    shares = [_found(shared, kind) / of_networks for kind in kinds if (of_networks := _found(alone, kind))]
    precisions = [np.mean([line.card_precision for line in of_list[name]]) for name in (BOTH, SHARED)]
    cost = precisions[0] - precisions[1]
    reached = all(share >= KEPT for share in shares) and cost <= COST
    kept = ", ".join(f"{share:.0%}" for share in shares)
    return f"keeps {kept}; costs {cost:.3f}: {'reached' if reached else 'not reached'}"
