"""What the workers report of each track and shard: sorted lists on their way to the driver, which reads them line by line."""

import heapq
import io
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from beam_pipeline import storage
from tfrecords.stable_hash import stable_hash

Summary = tuple[str, str]  # track id or shard name, line of JSON

_LINES_PER_LIST = 20_000


def n_lists(n_tracks: int) -> int:
    """How many lists the summaries of a run are spread over, so that a worker can sort one in memory."""
    return math.ceil(n_tracks / _LINES_PER_LIST)


def list_of(summary: Summary, *, n_lists: int) -> tuple[str, Summary]:
    """A summary, keyed by the name of its list."""
    number = int.from_bytes(stable_hash("list", summary[0])[:8], "big") % n_lists
    return f"summaries-{number:05d}", summary


def write_list(name: str, summaries: Iterable[Summary], *, folder: str) -> None:
    """Writes a list in the order of its keys: every attempt writes the same."""
    storage.write(storage.join(folder, name), (f"{key}\t{line}\n".encode() for key, line in sorted(summaries)))


def read_summaries(folder: str) -> Iterator[dict[str, Any]]:
    """Yields what the lists in a folder hold, in the order of the keys."""
    names = sorted(name for name in storage.names_in(folder) if name.startswith("summaries-"))
    with ExitStack() as stack:
        files = [stack.enter_context(storage.open_file(storage.join(folder, name))) for name in names]
        lines = (map(_split, io.TextIOWrapper(file, encoding="utf-8", newline="\n")) for file in files)
        for _, line in heapq.merge(*lines):
            yield json.loads(line)


def _split(line: str) -> Summary:
    key, _, rest = line.partition("\t")
    return key, rest
