"""Work of one Beam worker that is shared among processes of its own, for Python runs on one core at a time.

They talk through pipes: nothing listens on a port, as the several workers of Beam's own local runner would. They import what the
work needs, and no Beam.
"""

import atexit
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context, resource_tracker
from typing import Generic, TypeVar

from beam_pipeline import storage

_T = TypeVar("_T")
_R = TypeVar("_R")
_POLL_SECONDS = 0.5
_AHEAD = 3  # parcels of elements in work or waiting for it, for each process


class WorkerDiedError(RuntimeError):
    """A process ended before its work was done."""


class ProcessMap(Generic[_T, _R]):
    """Calls a function of each element, in the order of the elements.

    With one process it is called here, at once; with several, some elements later.
    """

    def __init__(
        self, function: Callable[[_T], _R], *, n_processes: int, n_at_once: int = 1, beam_args: tuple[str, ...] = ()
    ) -> None:
        """Starts nothing.

        Args:
            function: Is sent to the processes with the elements.
            n_processes: That share the work.
            n_at_once: Elements that are sent together.
            beam_args: Beam's options, in which an object store's address may be.
        """
        self._function = function
        self._n_processes = n_processes
        self._n_at_once = n_at_once
        self._beam_args = beam_args
        self._gathered: list[_T] = []
        self._waiting: deque[Future[list[_R]]] = deque()

    def add(self, element: _T) -> Iterator[_R]:
        """Takes an element; yields results that are due."""
        if self._n_processes == 1:
            yield self._function(element)
            return
        self._gathered.append(element)
        if len(self._gathered) == self._n_at_once:
            self._send()
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > _AHEAD * self._n_processes):
            yield from self._next()

    def finish(self) -> Iterator[_R]:
        """Yields the results of all elements that were taken."""
        if self._gathered:
            self._send()
        while self._waiting:
            yield from self._next()

    def _send(self) -> None:
        self._waiting.append(_pool(self._n_processes, self._beam_args).submit(_results, self._function, self._gathered))
        self._gathered = []

    def _next(self) -> list[_R]:
        try:
            return self._waiting.popleft().result()
        except BrokenProcessPool as error:
            self._waiting.clear()
            _pool.cache_clear()  # the next bundle has new ones
            raise WorkerDiedError("a worker process died") from error
        except BaseException:
            for future in self._waiting:
                future.cancel()
            self._waiting.clear()
            raise


def _results(function: Callable[[_T], _R], elements: list[_T]) -> list[_R]:
    return [function(element) for element in elements]


@cache
def _pool(n_processes: int, beam_args: tuple[str, ...]) -> ProcessPoolExecutor:
    """The processes of this worker, for all its stages. Started anew rather than forked, as Beam's threads may hold locks."""
    context = get_context("spawn")
    pool = ProcessPoolExecutor(n_processes, mp_context=context, initializer=_begin, initargs=(os.getpid(), beam_args))
    # Ctrl-C reaches every process of the terminal; these end with their parent, and are not to tell of it. They inherit the mask.
    resource_tracker.ensure_running()  # it would take the signal off the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    for _ in range(n_processes):
        pool.submit(int)  # starts one more, as none has come to its task yet
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    atexit.register(pool.shutdown, cancel_futures=True)  # the interpreter would wait for idle ones for ever
    return pool


def _begin(parent: int, beam_args: tuple[str, ...]) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if beam_args:
        storage.set_options(beam_args)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)
