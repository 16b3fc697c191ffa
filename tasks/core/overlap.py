"""Work that overlaps: a thread that computes items ahead of whoever takes them, and one that does later work
in the order in which it is given. Little waits in either, so that memory does not grow with the work.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Yields the items; a thread computes the next one while this one is used."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        following: Future[T | object] = thread.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, iterator, end)
            yield item  # type: ignore[misc]


class Behind:
    """A thread that does what it is given, one piece after the other; `most` pieces wait at once.

    What a piece raises is raised by a later call, or by the end of the block.
    """

    def __init__(self, most: int = 1) -> None:
        self._thread, self._most = ThreadPoolExecutor(1), most
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "Behind":
        return self

    def __call__(self, work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Has the work done; waits while too much waits already."""
        self._waiting.append(self._thread.submit(work, *args, **kwargs))
        while len(self._waiting) > self._most + 1:
            self._waiting.popleft().result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=kind is not None)
        for piece in self._waiting if kind is None else ():
            piece.result()
