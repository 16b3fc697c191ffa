"""The demo: two months of simulated card transactions, the last seven nights scored through the real flow,
and evaluated.
"""

import logging
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flows.evaluation import evaluate_nights
from flows.nightly import score_night
from flows.settings import load_settings
from tasks.core.evaluation_result import Evaluation
from tasks.core.references import Night
from tasks.source.simulation import simulate, spoil, write_partitions

log = logging.getLogger(__name__)
FIRST, DAYS, NIGHTS = date(2026, 3, 1), 67, 7  # the seven days after the last night bring its labels
CUSTOMERS, TERMINALS, SEED = 1_500, 3_000, 7


def prepare(folder: Path) -> Path:
    """Simulates the transactions, unless they are there; gives the configuration's path."""
    config, transactions = folder / "nightscore.toml", folder / "transactions"
    if not config.exists():
        log.info(
            "simulating %d days of card transactions of %s customers in %s",
            DAYS,
            f"{CUSTOMERS:,}",
            transactions,
        )
        write_partitions(spoil(simulate(FIRST, DAYS, CUSTOMERS, TERMINALS, SEED), SEED), transactions)
        shutil.copyfile(Path(__file__).with_name("demo.toml"), config)
    return config.resolve()


def play(
    folder: Path,
    night: Callable[..., Any] = score_night,
    evaluate: Callable[..., Any] = evaluate_nights,
) -> tuple[list[Night], Evaluation, Path]:
    """Scores the nights that are not committed yet, each by `night`; returns them, their figures and the
    page.
    """
    config = prepare(folder)
    delay = load_settings(config).training.label_delay_days
    last = FIRST + timedelta(days=DAYS - 1 - delay)
    days = [last - timedelta(days=back) for back in reversed(range(NIGHTS))]
    nights = [night(config, day) for day in days]
    evaluation, page = evaluate(config, days[0], last, as_of=last + timedelta(days=delay))
    return nights, evaluation, page
