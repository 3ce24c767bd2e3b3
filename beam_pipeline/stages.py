"""Beam's side of the work: it is handed to a worker's processes, and what comes back is counted and packed."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipeline.extract.extracted import Done, Extracted
from beam_pipeline.extract.references import pack
from beam_pipeline.plan import Plan
from beam_pipeline.processes import ProcessMap

NAMESPACE = "pipeline"
# References to so many records cross to the next stage as one element: compressed they take less than half of the memory.
_PACKED = 200


class Call(beam.DoFn):
    """Elements to what a function makes of each, in the worker's processes."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        plan: Plan,
        *,
        n_at_once: int = 1,
        lost: Callable[[Any, str, str], Any] | None = None,
    ) -> None:
        """Takes a function that can be sent to other processes.

        Args:
            function: Of an element.
            plan: Says how many processes a worker has, and how long one may take for an element.
            n_at_once: Elements that are sent to a process together.
            lost: What becomes of an element that crashes a process or takes it too long, by the kind and the reason; None where
                that ends the run.
        """
        self._function, self._plan, self._n_at_once, self._lost = function, plan, n_at_once, lost

    def setup(self) -> None:
        """Prepares this worker."""
        self._map = ProcessMap(
            self._function,
            n_processes=self._plan.n_processes,
            n_at_once=self._n_at_once,
            beam_args=self._plan.beam_args,
            timeout=self._plan.track_timeout,
            lost=self._lost,
        )

    def process(self, element: Any) -> Iterator[Any]:
        """Takes an element, and yields what has become of it and of earlier ones."""
        return self._map.add(element)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yields the rest."""
        return map(_in_global_window, self._map.finish())


class PackReferences(beam.DoFn):
    """(Shard, line that refers to a record) to (shard, compressed lines of many records)."""

    def start_bundle(self) -> None:
        """Begins to gather."""
        self._lines: defaultdict[str, list[bytes]] = defaultdict(list)

    def process(self, record: tuple[str, bytes]) -> Iterator[tuple[str, bytes]]:
        """Takes a line, and yields those of its shard where they are many."""
        shard, line = record
        self._lines[shard].append(line)
        if len(self._lines[shard]) == _PACKED:
            yield shard, pack(self._lines.pop(shard))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yields the rest."""
        return (_in_global_window((shard, pack(lines))) for shard, lines in self._lines.items())


def counted(done: Done) -> Extracted:
    """Adds to Beam's counters what was done for a track."""
    for name, amount in done.counts.items():
        Metrics.counter(NAMESPACE, name).inc(amount)
    return done.extracted


def _in_global_window(value: Any) -> WindowedValue:
    window = GlobalWindow()
    return WindowedValue(value, window.max_timestamp(), [window])
