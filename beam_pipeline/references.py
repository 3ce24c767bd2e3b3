"""References to records: by them the local runner's workers find the log-mels of a shard among the stored features."""

from typing import NamedTuple, Self


class Reference(NamedTuple):
    """A record of a shard; references sort by their order.

    Attributes:
        order: The record's place in its split, in hexadecimal.
        key: Of the track's features.
        position: Which of the track's chunks.
        label: Index of the genre.
        candidate: Number of the candidate chunk.
        deformation: Name of the deformation, without spaces; empty for the track as it is.
        track_id: Of the track.
    """

    order: str
    key: str
    position: int
    label: int
    candidate: int
    deformation: str
    track_id: str

    def to_line(self) -> str:
        """The line that `from_line` reads. A track id may hold spaces, but no line breaks."""
        return f"{self.order} {self.key} {self.position} {self.label} {self.candidate} {self.deformation} {self.track_id}"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Reads what `to_line` wrote."""
        order, key, position, label, candidate, deformation, track_id = line.split(" ", 6)
        return cls(order, key, int(position), int(label), int(candidate), deformation, track_id)
