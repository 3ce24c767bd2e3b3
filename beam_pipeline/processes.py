"""Work of one Beam worker that is shared among processes of its own: Python runs on one core at a time, and decoders crash."""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from beam_pipeline.process_pool import Pool, pool_of

_T = TypeVar("_T")
_R = TypeVar("_R")
_AHEAD = 3  # parcels of elements in work or waiting for it, for each process
_ATTEMPTS = 3

_numbers = itertools.count()


class WorkerDiedError(RuntimeError):
    """A process ended before its work was done, and not for what it worked at."""


@dataclass(kw_only=True)
class _Parcel(Generic[_T, _R]):
    """Elements that are sent to a process together.

    Attributes:
        elements: Each with its place.
        number: Unlike that of any other parcel of this process.
        results: What is known already, by place.
        n_killed: How often a process was killed while it was there.
        pool: To which it was sent last.
        future: Of what is still to be done.
    """

    elements: list[_T]
    number: int = field(default_factory=lambda: next(_numbers))
    results: dict[int, _R] = field(default_factory=dict)
    n_killed: int = 0
    pool: Pool | None = None
    future: "Future[list[_R]] | None" = None

    def to_do(self) -> dict[int, _T]:
        return {place: element for place, element in enumerate(self.elements) if place not in self.results}


class ProcessMap(Generic[_T, _R]):
    """Calls a function of each element, in the order of the elements.

    With no processes it is called here, at once; with some, some elements later. An element that crashes a process, or takes it
    too long, is not sent again. What else the process had to do is.
    """

    def __init__(
        self,
        function: Callable[[_T], _R],
        *,
        n_processes: int,
        n_at_once: int = 1,
        beam_args: tuple[str, ...] = (),
        timeout: float = 600.0,
        lost: Callable[[_T, str, str], _R] | None = None,
    ) -> None:
        """Starts nothing.

        Args:
            function: Is sent to the processes with the elements.
            n_processes: That share the work; 0 for none.
            n_at_once: Elements that are sent together.
            beam_args: Beam's options, in which an object store's address may be.
            timeout: How long a process may take for an element, in seconds.
            lost: The result for an element that crashes a process or takes too long, by the kind and the reason; without it, a
                process may take as long as it likes, and a crash is an error.
        """
        self._function = function
        self._n_processes = n_processes
        self._n_at_once = n_at_once
        self._beam_args = beam_args
        self._timeout = timeout
        self._lost = lost
        self._gathered: list[_T] = []
        self._waiting: deque[_Parcel[_T, _R]] = deque()

    def add(self, element: _T) -> Iterator[_R]:
        """Takes an element; yields results that are due.

        Raises:
            WorkerDiedError: If processes ended again and again, and not for what they worked at.
        """
        if not self._n_processes:
            yield self._function(element)
            return
        self._gathered.append(element)
        if len(self._gathered) == self._n_at_once:
            self._send_gathered()
        while self._waiting and (_is_done(self._waiting[0]) or len(self._waiting) > _AHEAD * self._n_processes):
            yield from self._next()

    def finish(self) -> Iterator[_R]:
        """Yields the results of all elements that were taken; raises what `add` does."""
        if self._gathered:
            self._send_gathered()
        while self._waiting:
            yield from self._next()

    def _send_gathered(self) -> None:
        parcel: _Parcel[_T, _R] = _Parcel(elements=self._gathered)
        self._gathered = []
        self._waiting.append(parcel)
        self._send(parcel)

    def _send(self, parcel: _Parcel[_T, _R]) -> None:
        parcel.pool = pool_of(self._n_processes, self._beam_args)
        timeout = self._timeout if self._lost else None
        try:
            parcel.future = parcel.pool.submit(self._function, parcel.number, parcel.to_do(), timeout=timeout)
        except BrokenProcessPool as error:
            parcel.future = Future()
            parcel.future.set_exception(error)

    def _next(self) -> list[_R]:
        try:
            parcel = self._waiting[0]
            while parcel.future is not None and parcel.to_do():
                try:
                    parcel.results.update(zip(parcel.to_do(), parcel.future.result(), strict=True))
                except BrokenProcessPool as error:
                    self._send_again(error)
            self._waiting.popleft()
            return [parcel.results[place] for place in range(len(parcel.elements))]
        except BaseException:
            for parcel in self._waiting:
                if parcel.future:
                    parcel.future.cancel()
            self._waiting.clear()
            raise

    def _send_again(self, error: BrokenProcessPool) -> None:
        """Sends what was in a pool that broke to another, but for the elements at which its processes ended."""
        broken = self._waiting[0].pool
        if broken is None:
            raise error
        broken.abandon()
        verdicts = broken.verdicts(self._timeout)
        for parcel in self._waiting:
            if parcel.pool is not broken or parcel.future is None or parcel.future.exception() is None:
                continue
            found = {place: verdict for (number, place), verdict in verdicts.items() if number == parcel.number}
            if found and self._lost is None:
                raise WorkerDiedError(f"an element {next(iter(found.values())).reason}") from error
            if self._lost is not None:
                parcel.results.update((place, self._lost(parcel.elements[place], *verdict)) for place, verdict in found.items())
            parcel.n_killed += not verdicts
            if parcel.n_killed == _ATTEMPTS:
                raise WorkerDiedError(f"worker processes were killed, {_ATTEMPTS} times one after the other") from error
            if parcel.to_do():
                self._send(parcel)


def _is_done(parcel: _Parcel[_T, _R]) -> bool:
    return parcel.future is not None and parcel.future.done()
