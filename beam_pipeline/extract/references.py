"""References to records: by them a shard's log-mels are found among the features that the workers have handed over."""

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self


class Reference(NamedTuple):
    """A record of a shard.

    Attributes:
        key: Of the track's features.
        position: Which of the chunks that the features are of, counted from the last, which is -1.
        label: Index of the genre.
        candidate: Number of the candidate chunk.
        deformation: Name of the deformation, without spaces; empty for the track as it is.
        track_id: Of the track.
    """

    key: str
    position: int
    label: int
    candidate: int
    deformation: str
    track_id: str

    def to_line(self) -> str:
        """The line that `from_line` reads. A track id may hold spaces, but no line breaks."""
        return f"{self.key} {self.position} {self.label} {self.candidate} {self.deformation} {self.track_id}\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Reads what `to_line` wrote, without the line's end."""
        key, position, label, candidate, deformation, track_id = line.split(" ", 5)
        return cls(key, int(position), int(label), int(candidate), deformation, track_id)


def pack(lines: Iterable[bytes]) -> bytes:
    """References' lines as one element of a shuffle."""
    return zlib.compress(b"".join(lines), level=1)


def unpack(packed: bytes) -> Iterator[Reference]:
    """Reads what `pack` wrote."""
    return map(Reference.from_line, zlib.decompress(packed).decode().split("\n")[:-1])
