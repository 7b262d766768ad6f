"""Work done in a thread, a bounded number of steps ahead of whoever takes the results."""

import threading
from collections.abc import Generator, Iterable
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")

_WAIT_S = 0.1
"""How long either side waits before it looks whether the other is still there."""


def ahead(items: Iterable[T], depth: int) -> Generator[T]:
    """The same items, made by a thread that is at most ``depth`` of them ahead.

    What the thread raises is raised here, after all items before it. Whoever stops early ends the thread, and with it
    the iterator of ``items``, which is closed if it is a generator.
    """
    worker = _Worker(items, depth)
    worker.thread.start()
    try:
        while not isinstance(item := worker.take(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        worker.stopped.set()
        worker.thread.join()


class _End:
    """What comes after the last item: nothing, or what went wrong."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Worker(Generic[T]):
    """The thread, and the queue that it fills."""

    def __init__(self, items: Iterable[T], depth: int) -> None:
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._work, args=(items,), name="mien-ahead", daemon=True)
        self._queue: Queue[T | _End] = Queue(depth)

    def take(self) -> T | _End:
        """The next item; waits for it in short steps, between which Ctrl-C is heard."""
        while True:
            try:
                return self._queue.get(timeout=_WAIT_S)
            except Empty:
                continue

    def _work(self, items: Iterable[T]) -> None:
        end, source = _End(), iter(items)
        try:
            for item in source:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the thread that takes the items
            end = _End(error)
        finally:
            if isinstance(source, Generator):
                source.close()
            self._put(end)

    def _put(self, item: T | _End) -> bool:
        """Whether there was somebody to take it."""
        while not self.stopped.is_set():
            try:
                self._queue.put(item, timeout=_WAIT_S)
            except Full:
                continue
            return True
        return False
