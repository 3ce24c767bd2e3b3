"""The stage of the graph that writes shards: Beam's side of it."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipeline.plan import Plan
from beam_pipeline.processes import ProcessMap
from beam_pipeline.write.shards import ShardWriter, WrittenShard
from beam_pipeline.write.sums import Sums

# The output beside the shards' reports.
STATISTICS = "statistics"


class WriteShards(beam.DoFn):
    """(Shard, records) to files.

    The main output has a line of JSON for each shard, the output STATISTICS (split, packed sums).
    """

    def __init__(self, plan: Plan, *, n_processes: int = 1, beam_args: tuple[str, ...] = ()) -> None:
        self._plan = plan
        self._n_processes = n_processes
        self._beam_args = beam_args

    def setup(self) -> None:
        """Prepares this worker."""
        self._work = ProcessMap(ShardWriter(self._plan), n_processes=self._n_processes, beam_args=self._beam_args)

    def process(self, shard: tuple[str, Iterable[bytes]]) -> Iterator[Any]:
        """Takes a shard, and yields what has become of it and of earlier ones."""
        key, contents = shard
        for written in self._work.add((key, list(contents))):
            yield written.report
            yield beam.pvalue.TaggedOutput(STATISTICS, _sums(written))

    def finish_bundle(self) -> Iterator[Any]:
        """Yields the rest."""
        window = GlobalWindow()
        for written in self._work.finish():
            yield WindowedValue(written.report, window.max_timestamp(), [window])
            value = WindowedValue(_sums(written), window.max_timestamp(), [window])
            yield beam.pvalue.TaggedOutput(STATISTICS, value)


def _sums(written: WrittenShard) -> tuple[str, bytes]:
    return written.split, Sums.of(written.statistics).pack()
