"""Where a shard's records are to be found: how the local runner's workers hand over what they have computed.

Beam's local runner keeps everything that moves between two stages in its own memory. So its workers write features to disk, and
one line for each record to a file of the record's shard; what remains for the runner is nothing but the order of the stages.
"""

import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple, Self

_FLUSH_AT = 20_000  # references, of some 150 bytes


class Reference(NamedTuple):
    """A record of a shard; references sort by their order.

    Attributes:
        order: The record's place in its split, in hexadecimal.
        key: Of the track's features.
        position: Which of the track's chunks.
        label: Index of the genre.
        candidate: Number of the candidate chunk.
        track_id: Of the track.
    """

    order: str
    key: str
    position: int
    label: int
    candidate: int
    track_id: str

    def to_line(self) -> str:
        """The line that `from_line` reads. A track id may hold spaces, but no line breaks."""
        return f"{self.order} {self.key} {self.position} {self.label} {self.candidate} {self.track_id}\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Reads what `to_line` wrote."""
        order, key, position, label, candidate, track_id = line.removesuffix("\n").split(" ", 5)
        return cls(order, key, int(position), int(label), int(candidate), track_id)


class ReferenceWriter:
    """Gathers references and appends them to files of this process, one for each shard."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._lines: defaultdict[str, list[str]] = defaultdict(list)
        self._n_waiting = 0

    def add(self, shard: str, reference: Reference) -> None:
        """Adds a reference; it is on disk after the next `flush` at the latest."""
        self._lines[shard].append(reference.to_line())
        self._n_waiting += 1
        if self._n_waiting >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        for shard, lines in self._lines.items():
            with (self._folder / f"{shard}.{os.getpid()}").open("a", encoding="utf-8", newline="\n") as file:
                file.writelines(lines)
        self._lines.clear()
        self._n_waiting = 0


def read_references(folder: str, shard: str) -> list[Reference]:
    """All references to a shard's records, in their order. One that a bundle wrote again when it was retried counts once."""
    references: set[Reference] = set()
    for path in Path(folder).glob(f"{shard}.*"):
        with path.open(encoding="utf-8", newline="\n") as file:
            references.update(map(Reference.from_line, file))
    return sorted(references)
