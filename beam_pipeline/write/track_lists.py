"""What the workers report of each track: sorted lists on their way to the last step, which reads them line by line."""

import heapq
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from beam_pipeline import storage
from tfrecords.dataset.stable_hash import stable_hash

# Of a million tracks, a worker sorts some ten thousands in memory.
_N_LISTS = 16


def list_of(report: tuple[str, str]) -> tuple[str, tuple[str, str]]:
    """A track's id and report, keyed by the name of its list."""
    number = stable_hash("list", report[0])[0] % _N_LISTS
    return f"{number:05d}", report


def write_list(named: tuple[str, Iterable[tuple[str, str]]], *, folder: str) -> str:
    """Writes a list in the order of the ids: every attempt writes the same. Returns the file's name."""
    number, reports = named
    name = f"reports-{number}"
    storage.write(storage.join(folder, name), (f"{track_id}\t{report}\n".encode() for track_id, report in sorted(reports)))
    return name


def read_lists(folder: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields the reports of some lists in a folder, in the order of the tracks' ids."""
    with ExitStack() as stack:
        files = [stack.enter_context(storage.open_file(storage.join(folder, name))) for name in names]
        lists = (map(_parted, io.TextIOWrapper(file, encoding="utf-8", newline="\n")) for file in files)
        for _, report in heapq.merge(*lists):
            yield json.loads(report)


def _parted(line: str) -> tuple[str, str]:
    track_id, _, report = line.partition("\t")
    return track_id, report
