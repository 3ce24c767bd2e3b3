"""The stage of the graph that extracts: Beam's side of it."""

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipeline.extract.track_records import Extracted, TrackExtractor
from beam_pipeline.plan import Plan
from beam_pipeline.processes import ProcessMap
from beam_pipeline.track import Track

NAMESPACE = "pipeline"
# The outputs beside the records.
REPORTS, REJECTED = "reports", "rejected"
# References to so many records cross to the next stage as one element.
_PACKED = 2000
# A track takes milliseconds: so many are sent to a process together.
_AT_ONCE = 8


class ExtractRecords(beam.DoFn):
    """Tracks to records.

    The main output has (shard, records): a serialised record, or lines that refer to some. The output REPORTS has (track id,
    line of JSON) for every track, REJECTED the lines of those that cannot be used.
    """

    def __init__(self, plan: Plan, *, n_processes: int = 1, beam_args: tuple[str, ...] = ()) -> None:
        self._plan = plan
        self._n_processes = n_processes
        self._beam_args = beam_args

    def setup(self) -> None:
        """Prepares this worker."""
        self._work = ProcessMap(
            TrackExtractor(self._plan), n_processes=self._n_processes, n_at_once=_AT_ONCE, beam_args=self._beam_args
        )
        self._progress: dict[int, int] = {}

    def start_bundle(self) -> None:
        """Begins to gather references."""
        self._lines: defaultdict[str, list[bytes]] = defaultdict(list)
        self._ids: list[str] = []
        self._n_done = 0

    def process(self, track: Track) -> Iterator[Any]:
        """Takes a track, and yields what has become of it and of earlier ones."""
        self._ids.append(track.track_id)
        for extracted in self._work.add(track):
            yield from self._outputs(extracted)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yields the rest."""
        for extracted in self._work.finish():
            yield from map(_in_global_window, self._outputs(extracted))
        for shard, lines in self._lines.items():
            yield _in_global_window((shard, b"".join(lines)))
        self._lines.clear()

    def teardown(self) -> None:
        """Closes the progress files."""
        for descriptor in self._progress.values():
            os.close(descriptor)

    def _outputs(self, extracted: Extracted) -> Iterator[Any]:
        track_id = self._ids[self._n_done]
        self._n_done += 1
        for name, amount in extracted.counts.items():
            Metrics.counter(NAMESPACE, name).inc(amount)
        yield beam.pvalue.TaggedOutput(REPORTS, (track_id, extracted.report))
        if extracted.is_rejected:
            yield beam.pvalue.TaggedOutput(REJECTED, extracted.report)
        for shard, content in extracted.records:
            if not self._plan.handover:
                yield shard, content
                continue
            lines = self._lines[shard]
            lines.append(content)
            if len(lines) == _PACKED:
                yield shard, b"".join(lines)
                lines.clear()
        self._note(extracted.process)

    def _note(self, process: int) -> None:
        if self._plan.progress is None:
            return
        if process not in self._progress:
            path = f"{self._plan.progress}/{process}"
            self._progress[process] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(self._progress[process], b".")


def _in_global_window(value: Any) -> WindowedValue:
    window = GlobalWindow()
    if isinstance(value, beam.pvalue.TaggedOutput):
        return beam.pvalue.TaggedOutput(value.tag, WindowedValue(value.value, window.max_timestamp(), [window]))
    return WindowedValue(value, window.max_timestamp(), [window])
