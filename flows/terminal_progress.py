"""Progress bars on a terminal: epochs, rows and dates, each with the time that is left."""

from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn


class TerminalProgress:
    """A bar on standard error for each step that is under way; gone when it is done. Lines that are logged
    meanwhile appear above.
    """

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._lock = Lock()

    def __call__(self, step: str, done: float, total: float) -> None:
        """Shows how far a step is; see tasks.core.progress."""
        with self._lock:
            if done >= total:
                if step in self._tasks:
                    self._bars.remove_task(self._tasks.pop(step))
                if not self._tasks:
                    self._bars.stop()
                return
            if step not in self._tasks:
                self._tasks[step] = self._bars.add_task(step, total=total)
                self._bars.start()
            self._bars.update(self._tasks[step], completed=done)

    def stop(self) -> None:
        """Removes every bar, and gives the terminal back as it was."""
        with self._lock:
            self._bars.stop()
