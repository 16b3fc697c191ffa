"""Backfill: the dates of a range that were never scored, several at once, with the tables that night after
night gives.

It goes in stretches: the dates that the same versions score. A version may be due after each of them, trained
on what was flagged before it, and a challenger may be decided on; so the parent publishes in the order of the
dates, and checks each time whether the dates that follow are still scored by the right versions. What workers
do is independent: they write staged Parquet, and hand references back.
"""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice, takewhile
from pathlib import Path

from flows.compute import Staging, Workers, running
from flows.due_dates import due_dates
from flows.nightly import clean_features, follow_up
from flows.settings import Settings, load_settings
from flows.steps import Steps
from tasks.core.errors import BackfilledInPart
from tasks.core.references import Features, Night, Scored, ScoringModels
from tasks.core.staging import empty, night_folder
from tasks.notifications.notify import notify_failure, notify_warnings
from tasks.notifications.prefect_artifacts import Progress
from tasks.operations.liveness import track_run
from tasks.publishing.held import name_held
from tasks.publishing.ledger import record_failure
from tasks.publishing.publish import publish, publish_waiting
from tasks.registry.selection import select_models
from tasks.source.ingest import ingest, require_same_source
from tasks.training.retraining import ensure_models, training_due

log = logging.getLogger(__name__)
# Dates begun for each that is scored at once: no worker waits for its turn, and little is left when the
# stretch ends.
AHEAD = 2


@dataclass(frozen=True)
class Staged:
    """What a worker leaves of a date in its folder. started_at: instant, UTC. durations: seconds by step."""

    features: Features
    scored: Scored
    started_at: datetime
    durations: dict[str, float]


def backfill_dates(config: Path, first: date, last: date) -> list[Night]:
    """Scores every date of the source from `first` to `last` that has no committed run, several at once; see
    [compute].

    A date that fails does not stop the others. Raises BackfilledInPart at the end, naming each with its
    reason.
    """
    settings = load_settings(config)
    warehouse = settings.open_warehouse()
    with track_run(settings.files):
        notify_warnings(
            settings.notify,
            settings.name,
            publish_waiting(settings, warehouse, settings.evaluation.brake),
        )
        name_held(warehouse)
        due = due_dates(settings, first, last)
        if due.lacking:
            missing = ", ".join(map(str, due.lacking))
            message = "%s  backfill   the source has no partition of %d dates: %s"
            log.warning(message, due.lacking[0], len(due.lacking), missing)
        done, failed = fill(config, settings, due.missing)
    if failed:
        reasons = "; ".join(f"{day}: {str(error).removeprefix(f'{day}: ')}" for day, error in failed.items())
        again = f"nightscore backfill --from {min(failed)} --to {max(failed)}"
        raise BackfilledInPart(
            f"{len(done)} dates were scored, {len(failed)} failed; {reasons}. Mend them, then run `{again}`"
        )
    return done


def fill(config: Path, settings: Settings, days: Sequence[date]) -> tuple[list[Night], dict[date, Exception]]:
    """The nights of these dates, in order, and the errors of those that were not committed."""
    done: list[Night] = []
    failed: dict[date, Exception] = {}
    if not days:
        return done, failed
    progress = Progress("backfill", settings.name, f"{settings.name} {days[0]}..{days[-1]}")
    with running(settings.compute) as workers:
        while left := days[len(done) + len(failed) :]:
            with open_stretch(config, settings, workers, left) as stretch:
                while outcome := stretch.next_outcome():
                    day, found = outcome
                    if isinstance(found, Exception):
                        failed[day] = found
                        log.warning("%s  backfill   failed: %s", day, found)
                    else:
                        done.append(found)
                    through = len(done) + len(failed)
                    words = f"{through} of {len(days)} dates are through"
                    log.info("%s  backfill   %s", day, words)
                    progress.show(100 * through / len(days), f"{words}, {len(failed)} failed")
    return done, failed


@contextmanager
def open_stretch(
    config: Path, settings: Settings, workers: Workers, days: Sequence[date]
) -> Iterator["Stretch"]:
    """The first of the dates, and those after it that the same versions score.

    The folders of its dates are this process's alone until no worker writes in them.
    """
    with ExitStack() as folders:
        stretch = Stretch(config, settings, workers, days, folders)
        try:
            yield stretch
        finally:
            stretch.drain()


class Stretch:
    """Dates that the same versions score: begun by workers, committed by this process in the order of the
    dates.

    It ends where other versions score the next date: a challenger was promoted, or a training is due.
    """

    def __init__(
        self, config: Path, settings: Settings, workers: Workers, days: Sequence[date], folders: ExitStack
    ) -> None:
        self._config, self._settings, self._workers, self._folders = config, settings, workers, folders
        self._warehouse = settings.open_warehouse()
        self._first = days[0]
        self._models: ScoringModels | None = None
        self._open: dict[date, tuple[Path, ExitStack]] = {}
        self._begun: deque[tuple[date, Staging]] = deque()
        self._ended = False
        self._alike = takewhile(lambda day: day == self._first or self._is_scored_alike(day), days)

    def next_outcome(self) -> tuple[date, Night | Exception] | None:
        """Commits the next date; returns its night, or the error that kept it from being committed; None at
        the end.
        """
        if self._ended:
            return None
        if self._models is None:
            try:
                self._models = self._first_models()
            except Exception as error:
                self._ended = True
                return self._first, error
        self._begin(self._models)
        if not self._begun:
            return None
        day, staged = self._begun[0]
        if day != self._first and not self._is_scored_alike(day):
            return None
        outcome = self._commit(self._models, day, staged)
        self._begun.popleft()
        return day, outcome

    def drain(self) -> None:
        """Waits until no worker writes in a folder of the stretch; what they have staged stays for the next
        run.
        """
        if self._begun:
            waiting = ", ".join(str(day) for day, _ in self._begun)
            first = self._begun[0][0]
            log.info("%s  backfill   waiting until what is begun is done: %s", first, waiting)
        for _, staged in self._begun:
            with suppress(Exception):
                staged.result()

    def _begin(self, models: ScoringModels) -> None:
        for day in islice(self._alike, max(0, AHEAD * self._workers.at_once() - len(self._begun))):
            job = {"config": self._config, "day": day, "models": models, "staging": self._folder(day)}
            self._begun.append((day, self._workers.submit(score_date, job)))

    def _first_models(self) -> ScoringModels:
        """The versions of the first date, after the training that is due on it.

        As on its own night, no training begins before the rows of the date are known to be good.
        """
        settings, day = self._settings, self._first
        folder = self._folder(day)
        with self._recorded(day):
            if training_due(settings, self._warehouse, day):
                step = Steps(folder, settings)
                clean_features(settings, step, step(ingest, settings, day, settings.files))
            return ensure_models(settings, self._warehouse, settings.notify, day)

    def _commit(self, models: ScoringModels, day: date, staged: Staging) -> Night | Exception:
        settings, folder = self._settings, self._folder(day)
        try:
            with self._recorded(day):
                found = staged.result()
                night = publish(
                    settings,
                    self._warehouse,
                    settings.evaluation.brake,
                    found.features,
                    found.scored,
                    models.champion,
                    found.started_at,
                    found.durations,
                    folder,
                    False,
                )
            follow_up(settings, self._warehouse, night)
        except Exception as error:
            return error
        self._remove_folder(day)
        return night

    def _is_scored_alike(self, day: date) -> bool:
        """Whether the versions of this stretch score a date."""
        if training_due(self._settings, self._warehouse, day) is not None:
            return False
        return select_models(self._settings, self._warehouse, day) == self._models

    def _folder(self, day: date) -> Path:
        """The folder of a date; another process that has it is waited for."""
        if day not in self._open:
            stack = self._folders.enter_context(ExitStack())
            folder = stack.enter_context(night_folder(self._settings.files, day, keep=True))
            self._open[day] = folder, stack
        return self._open[day][0]

    def _remove_folder(self, day: date) -> None:
        folder, stack = self._open.pop(day)
        empty(folder)
        stack.close()

    @contextmanager
    def _recorded(self, day: date) -> Iterator[None]:
        settings = self._settings
        with (
            notify_failure(settings.notify, settings.name, day),
            record_failure(settings, self._warehouse, day),
        ):
            yield


def score_date(config: Path, day: date, models: ScoringModels, staging: Path) -> Staged:
    """One date, from the source to its staged scores, on whatever machine; finished steps are not
    repeated.
    """
    from tasks.scoring.score import score  # loads TensorFlow

    settings = load_settings(config)
    step = Steps(staging, settings)
    partition = step(ingest, settings, day, settings.files)
    featured = clean_features(settings, step, partition)
    scored = step.kept(score, settings, featured, models, settings.threshold, staging)
    require_same_source(settings, partition, settings.files)
    return Staged(featured, scored, step.started_at, step.durations)
