"""Backfill: the dates of a span that were never scored, several at once, with the tables that night after
night would have given.

It goes in stretches: the dates that the same versions score. A version may be due after each of them, trained
on what was flagged before it, and a challenger may be decided on; so the parent publishes in the order of the
dates, and looks each time whether those that follow are still scored by the right versions. What workers do
is independent: they write staged Parquet, and hand references back.
"""

import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import islice, takewhile
from pathlib import Path
from types import TracebackType
from typing import Self

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from flows.compute import Workers, running
from flows.context import ledger_of, recipe_of
from flows.due_dates import due_dates
from flows.nightly import after_commit, clean_rows
from flows.run_names import run_name
from flows.settings import Settings, load_settings
from flows.steps import Steps
from tasks.core.errors import BackfilledInPart
from tasks.core.references import Features, Night, Scored, ScoringModels
from tasks.core.staging import night_folder
from tasks.notifications.notify import notify_doubts, notify_failure
from tasks.notifications.prefect_artifacts import Progress, show_night
from tasks.operations.liveness import live_run
from tasks.publishing.ledger import Ledger, record_failure
from tasks.publishing.publish import publish, publish_waiting
from tasks.registry.selection import select_models
from tasks.scoring.score import score
from tasks.source.ingest import ingest
from tasks.training.retraining import ensure_models, training_due

log = logging.getLogger(__name__)
# dates that are begun for each that is scored at once: no worker waits for its turn, and little is left when
# the stretch ends
AHEAD = 2


@dataclass(frozen=True)
class Staged:
    """What a worker leaves of a date in its folder. durations: seconds by step."""

    features: Features
    scored: Scored
    durations: dict[str, float]


@flow(name="backfill", flow_run_name=run_name)
def backfill(config: Path, first: date, last: date) -> list[Night]:
    """Scores every date of the source from `first` to `last` that has no committed run, several at once; see
    [compute].

    A date that fails does not stop the others. Raises BackfilledInPart at the end, naming each with its
    reason.
    """
    settings = load_settings(config)
    with live_run(settings.files):
        waited = publish_waiting(ledger_of(settings), settings.files)
        due = due_dates(settings, first, last)
        if due.lacking:
            missing = ", ".join(map(str, due.lacking))
            log.warning(
                "%s  backfill   the source has no partition of %d dates: %s",
                due.lacking[0],
                len(due.lacking),
                missing,
            )
        done, failed = fill(config, settings, due.missing)
    notify_doubts(settings.notify, settings.name, [*waited, *done])
    if failed:
        reasons = "; ".join(f"{day}: {str(error).removeprefix(f'{day}: ')}" for day, error in failed.items())
        again = f"nightscore backfill --from {min(failed)} --to {max(failed)}"
        raise BackfilledInPart(
            f"{len(done)} dates were scored, {len(failed)} failed; {reasons}. Mend them, then run `{again}`"
        )
    return done


def fill(config: Path, settings: Settings, days: Sequence[date]) -> tuple[list[Night], dict[date, Exception]]:
    """The nights of these dates, in order, and what kept the others from being committed."""
    done: list[Night] = []
    failed: dict[date, Exception] = {}
    if not days:
        return done, failed
    progress = Progress("backfill", settings.name, f"{settings.name} {days[0]}..{days[-1]}")
    with running(settings.compute) as workers:
        while left := days[len(done) + len(failed) :]:
            with closing(score_stretch(config, settings, workers, left)) as outcomes:
                for day, outcome in outcomes:
                    if isinstance(outcome, Exception):
                        failed[day] = outcome
                        log.warning("%s  backfill   failed: %s", day, outcome)
                    else:
                        done.append(outcome)
                    through = len(done) + len(failed)
                    words = f"{through} of {len(days)} dates are through"
                    log.info("%s  backfill   %s", day, words)
                    progress.show(100 * through / len(days), f"{words}, {len(failed)} failed")
    return done, failed


def score_stretch(
    config: Path, settings: Settings, workers: Workers, days: Sequence[date]
) -> Generator[tuple[date, Night | Exception]]:
    """Scores the first of the dates, and those after it that the same versions score; gives what became of
    each, in order.

    It ends where other versions are to score the next date, since a night of the stretch had a challenger
    promoted, or made a training due.
    """
    ledger = ledger_of(settings)
    with _Folders(settings.files) as folders:
        try:
            with _noted(settings, ledger, days[0]):
                scorers = _first_line_up(settings, days[0], folders.open(days[0]))
        except Exception as error:
            yield days[0], error
            return
        alike = takewhile(lambda day: day == days[0] or _are_due(settings, scorers, day), days)
        begun: deque[tuple[date, PrefectFuture[Staged]]] = deque()
        try:
            while True:
                for day in islice(alike, max(0, AHEAD * workers.at_once() - len(begun))):
                    job = {"config": config, "day": day, "scorers": scorers, "staging": folders.open(day)}
                    begun.append((day, workers.runner.submit(score_date, job)))
                if not begun:
                    return
                day, staged = begun[0]
                if day != days[0] and not _are_due(settings, scorers, day):
                    return
                yield day, _commit(settings, ledger, scorers, day, staged, folders)
                begun.popleft()
        finally:  # the folders are held for as long as a worker writes in them
            if begun:
                log.info(
                    "%s  backfill   waiting until what is begun is done: %s",
                    begun[0][0],
                    ", ".join(str(day) for day, _ in begun),
                )
            for _, staged in begun:
                staged.wait()


@task(name="score-date", cache_policy=NO_CACHE)
def score_date(config: Path, day: date, scorers: ScoringModels, staging: Path) -> Staged:
    """One date, from the source to its staged scores, on whatever machine; what an earlier attempt has left
    is not done again.
    """
    settings = load_settings(config)
    step = Steps(staging, settings.config_hash)
    clean = clean_rows(settings, step, step(ingest, settings, day), staging)
    scored = step.kept(score, settings, clean, scorers, settings.threshold, staging)
    return Staged(clean, scored, step.durations)


def _first_line_up(settings: Settings, day: date, staging: Path) -> ScoringModels:
    """Who scores a date, after the training that is due on it; as on its own night, none begins before its
    rows are known to be good.
    """
    recipe = recipe_of(settings)
    if training_due(recipe, settings.warehouse, day):
        step = Steps(staging, settings.config_hash)
        clean_rows(settings, step, step(ingest, settings, day), staging)
    return ensure_models(recipe, settings.warehouse, settings.notify, day)


def _commit(
    settings: Settings,
    ledger: Ledger,
    scorers: ScoringModels,
    day: date,
    staged: PrefectFuture[Staged],
    folders: "_Folders",
) -> Night | Exception:
    """The night of a date, once its rows are scored; or what keeps it from being committed."""
    folder = folders.open(day)
    try:
        with _noted(settings, ledger, day):
            found = staged.result()
            night = publish(
                ledger, found.features, found.scored, scorers.champion, found.durations, folder, False
            )
        with notify_failure(settings.notify, settings.name, day):
            after_commit(settings, night, folder)
    except Exception as error:
        return error
    show_night(settings.name, night)
    folders.remove(day)
    return night


def _are_due(settings: Settings, scorers: ScoringModels, day: date) -> bool:
    """Whether it is these that score a date."""
    recipe, warehouse = recipe_of(settings), settings.warehouse
    return training_due(recipe, warehouse, day) is None and select_models(recipe, warehouse, day) == scorers


@contextmanager
def _noted(settings: Settings, ledger: Ledger, day: date) -> Iterator[None]:
    with notify_failure(settings.notify, settings.name, day), record_failure(ledger, day):
        yield


class _Folders:
    """The folders of a stretch's dates, this process's alone; but for those that are removed, what is in
    them stays for the next run.
    """

    def __init__(self, files: Path) -> None:
        self._files = files
        self._open: dict[date, tuple[Path, ExitStack]] = {}

    def open(self, day: date) -> Path:
        """The folder of a date; another process that has it is waited for."""
        if day not in self._open:
            stack = ExitStack()
            self._open[day] = stack.enter_context(night_folder(self._files, day)), stack
        return self._open[day][0]

    def remove(self, day: date) -> None:
        self._open.pop(day)[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for _, stack in self._open.values():
            stack.__exit__(_Kept, _Kept(), None)


class _Kept(Exception):
    """Leaves a night's folder without its being emptied."""
