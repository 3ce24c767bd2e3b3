"""What the workers report of each track and shard: sorted lists on their way to the driver, which reads them line by line."""

import heapq
import io
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

from beam_pipeline import storage
from tfrecords.stable_hash import stable_hash

SUMMARIES = "summaries"
_LINES_PER_LIST = 20_000


class Summary(NamedTuple):
    """What a worker says of a track or shard; summaries sort by their key.

    Attributes:
        key: Track id or shard name, without tabs and line breaks.
        content: A line of JSON.
    """

    key: str
    content: str

    def to_line(self) -> str:
        """The line that `from_line` reads."""
        return f"{self.key}\t{self.content}"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Reads what `to_line` wrote."""
        key, _, content = line.partition("\t")
        return cls(key, content)


def n_lists(n_tracks: int) -> int:
    """How many lists the summaries of a run are spread over, so that a worker can sort one in memory."""
    return math.ceil(n_tracks / _LINES_PER_LIST)


def list_of(summary: tuple[str, str], *, n_lists: int) -> tuple[str, tuple[str, str]]:
    """A summary, keyed by the name of its list."""
    number = int.from_bytes(stable_hash("list", summary[0])[:8], "big") % n_lists
    return f"{number:05d}", summary


def write_list(name: str, summaries: Iterable[tuple[str, str]], *, folder: str) -> None:
    """Writes a list in the order of its keys: every attempt writes the same."""
    lines = (Summary(*summary).to_line() for summary in sorted(summaries))
    storage.write(storage.join(folder, f"{SUMMARIES}-{name}"), (f"{line}\n".encode() for line in lines))


def read_summaries(folder: str) -> Iterator[dict[str, Any]]:
    """Yields what the lists in a folder hold, in the order of the keys."""
    names = sorted(name for name in storage.names_in(folder) if name.startswith(f"{SUMMARIES}-"))
    with ExitStack() as stack:
        files = [stack.enter_context(storage.open_file(storage.join(folder, name))) for name in names]
        lists = (map(Summary.from_line, io.TextIOWrapper(file, encoding="utf-8", newline="\n")) for file in files)
        for summary in heapq.merge(*lists):
            yield json.loads(summary.content)
