"""What the list of tracks claims, and which of it the records have borne out."""

import hashlib
import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from sys import intern
from typing import BinaryIO, NamedTuple

from tfrecords.cards import TrackTally
from tfrecords.dataset.leakage import LeakFinder
from tfrecords.dataset.manifest import Manifest
from tfrecords.dataset.tracks import TrackLine, parse_track, starts_by_deformation
from tfrecords.errors import quoted
from tfrecords.front_end.augmentation import augmentation_of
from tfrecords.places import Place
from tfrecords.records.schema import Record
from tfrecords.verification.problem import Problem

_LONGEST_LINE = 2**24
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOT_DEFORMED: Mapping[str, range] = {}  # one for all tracks


class _Row(NamedTuple):
    """A track: its split and genre, and where its start samples and those of its deformations stand in the list of all."""

    split: str
    genre: str
    place: range
    deformed: Mapping[str, range]

    def place_of(self, deformation: str) -> range:
        return self.deformed.get(deformation, range(0)) if deformation else self.place


class MissingRecords(NamedTuple):
    """What a track, or a deformation of it, lacks: the start samples of the records not found, of `n_claimed` in all."""

    track_id: str
    deformation: str
    split: str
    start_samples: list[int]
    n_claimed: int


class TrackClaims:
    """The tracks of a dataset. Takes some hundred bytes a track and a deformation of it, and 9 bytes for each start sample.

    Attributes:
        known: Whether there is a list of tracks to compare records with.
        n_tracks: Tracks by split.
        n_records: Records by split.
        tally: What the derived files say of the list.
        is_whole: Whether the list is the one that `dataset.json` names.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.known = False
        self.n_tracks: Counter[str] = Counter()
        self.n_records: Counter[str] = Counter()
        self.tally = TrackTally()
        self.is_whole = False
        self._manifest = manifest
        self._file = manifest.tracks_file
        self._label_of = {genre: label for label, genre in reversed(list(enumerate(manifest.genres)))}
        self._rows: dict[str, _Row] = {}
        self._starts = array("q")
        self._found = bytearray()

    def read(self, folder: Place, *, progress: Callable[[int], object]) -> Iterator[Problem]:
        """Reads the list of tracks and yields what is wrong with it.

        Args:
            folder: The dataset's.
            progress: Called with the number of bytes each time some were read.
        """
        path = folder / self._file
        try:
            if not path.is_file():  # a pipe would hold the run up for ever
                yield Problem(file=self._file, reason="is missing")
                return
            with path.open("rb") as file:
                self.known = True
                yield from self._read(file, progress)
        except OSError as error:
            yield Problem(file=self._file, reason=f"cannot be read: {error.strerror}")

    def _read(self, file: BinaryIO, progress: Callable[[int], object]) -> Iterator[Problem]:
        digest = hashlib.sha256()
        leaks = LeakFinder()
        number = 0
        while line := file.readline(_LONGEST_LINE):
            digest.update(line)
            progress(len(line))
            number += 1
            place = f"line {number}"
            if len(line) == _LONGEST_LINE:
                yield Problem(file=self._file, place=place, reason=f"is longer than {_LONGEST_LINE} bytes")
                while not line.endswith(b"\n") and (line := file.readline(_LONGEST_LINE)):
                    digest.update(line)
                    progress(len(line))
                continue
            try:
                track = parse_track(line)
            except ValueError as error:
                yield Problem(file=self._file, place=place, reason=str(error))
                continue
            for reason in (*self._flaws(track), *leaks.leaks_of(track)):
                yield Problem(file=self._file, place=place, reason=reason)
            self._add(track)
        self.is_whole = digest.hexdigest() == self._manifest.tracks_sha256
        if not self.is_whole:
            yield Problem(file=self._file, reason="was altered: its SHA-256 differs")

    def _flaws(self, track: TrackLine) -> Iterator[str]:
        manifest = self._manifest
        name = f"track {quoted(track['track_id'])}"
        row = self._rows.get(track["track_id"])
        if row and row.split == track["split"]:  # in two splits, it is a leak
            yield f"{name} is listed twice"
        if track["split"] not in manifest.splits:
            yield f"{name} is of split {quoted(track['split'])}, which dataset.json does not have"
        if track["genre"] not in self._label_of:
            yield f"{name} is of genre {quoted(track['genre'])}, which dataset.json does not have"
        elif track["label"] != (label := self._label_of[track["genre"]]):
            yield f"{name} has label {track['label']}, but its genre {quoted(track['genre'])} is number {label}"
        if not _SHA256.fullmatch(track["audio_blake3"]):
            yield f"{name} has no SHA-256 of its audio"
        if expected := self._other_number(track["start_samples"], track["n_samples"], manifest.chunks_per_track):
            yield f"{name} has {len(track['start_samples'])} start samples, dataset.json says {expected} chunks per track"
        for flaw in self._chunk_flaws(track["start_samples"], n_samples=track["n_samples"]):
            yield f"{name} has {flaw}"
        yield from (f"{name} {flaw}" for flaw in self._deformation_flaws(track))

    def _deformation_flaws(self, track: TrackLine) -> Iterator[str]:
        augmentation = augmentation_of(track["split"], self._manifest.augmentation)
        claimed = track.get("deformed_start_samples", {})
        for unknown in sorted(claimed.keys() - set(augmentation.names if augmentation else ())):
            yield f"has start samples of deformation {quoted(unknown)}, which dataset.json does not have for its split"
        if augmentation is None:
            return
        for deformation in augmentation.deformations:
            starts = claimed.get(deformation.name, [])
            n_samples = deformation.n_samples(track["n_samples"])
            if expected := self._other_number(starts, n_samples, augmentation.chunks_per_deformation, least=0):
                yield (
                    f"has {len(starts)} start samples of deformation {deformation.name}, "
                    f"dataset.json says {expected} chunks per deformation"
                )
            for flaw in self._chunk_flaws(starts, n_samples=n_samples):
                yield f"has, of deformation {deformation.name}, {flaw}"

    def _other_number(self, starts: list[int], n_samples: int, n_chunks: int, *, least: int | None = None) -> str:
        """How many chunks of a waveform there should be, where there are others; else nothing."""
        min_chunks = self._manifest.min_chunks
        if min_chunks is None:
            return "" if len(starts) == n_chunks else str(n_chunks)
        n_candidates = self._manifest.spec.n_candidate_chunks(n_samples)
        least = min_chunks if least is None else least
        if len(starts) == min(n_chunks, n_candidates) >= least:
            return ""
        return f"{least} to {n_chunks}, as many as there are of its {n_candidates}"

    def _chunk_flaws(self, starts: list[int], *, n_samples: int) -> Iterator[str]:
        """What is wrong with the start samples of chunks that lie in a waveform of `n_samples` samples."""
        spec = self._manifest.spec
        if any(one >= other for one, other in pairwise(starts)):
            yield "start samples that do not ascend"
        if any(start % spec.chunk_step for start in starts):
            yield f"start samples that are no multiples of {spec.chunk_step}"
        if starts and not 0 <= min(starts) <= max(starts) <= n_samples - spec.chunk_samples:
            yield f"chunks that do not lie in its {n_samples} samples"

    def _add(self, track: TrackLine) -> None:
        claimed = starts_by_deformation(track)
        self.n_tracks[track["split"]] += 1
        self.tally.add(track)
        self.n_records[track["split"]] += sum(map(len, claimed.values()))
        if track["track_id"] not in self._rows:
            place = self._add_starts(claimed.pop(""))
            deformed = {intern(name): self._add_starts(starts) for name, starts in claimed.items()}
            self._rows[track["track_id"]] = _Row(track["split"], track["genre"], place, deformed or _NOT_DEFORMED)

    def _add_starts(self, starts: list[int]) -> range:
        """Adds start samples to the list of all; their place in it."""
        first = len(self._starts)
        self._starts.extend(sorted({start for start in starts if 0 <= start < 2**63}))
        self._found.extend(bytes(len(self._starts) - first))
        return range(first, len(self._starts))

    def mark(self, record: Record, *, split: str) -> Iterator[str]:
        """Takes a record of a split as found, and yields how it contradicts the list of tracks."""
        row = self._rows.get(record.track_id)
        if row is None:
            yield f"is of track {quoted(record.track_id)}, which {self._file} does not list"
            return
        if row.split != split:
            yield f"is of track {quoted(record.track_id)} of split {quoted(row.split)}, but lies in split {quoted(split)}"
        if row.genre != record.genre:
            yield f"has genre {quoted(record.genre)}, its track {quoted(record.track_id)} has {quoted(row.genre)}"
        place = row.place_of(record.deformation)
        index = bisect_left(self._starts, record.start_sample, place.start, place.stop)
        of_deformation = f" of deformation {quoted(record.deformation)}" if record.deformation else ""
        if index not in place or self._starts[index] != record.start_sample:
            yield (
                f"starts at sample {record.start_sample}{of_deformation}, "
                f"which {self._file} does not list for {quoted(record.track_id)}"
            )
        elif self._found[index]:
            yield (
                f"is doubled: track {quoted(record.track_id)} has another record that starts "
                f"at sample {record.start_sample}{of_deformation}"
            )
        else:
            self._found[index] = 1

    def missing(self) -> Iterator[MissingRecords]:
        """Yields what the tracks lack once all records have been marked."""
        for track_id, row in self._rows.items():
            for deformation in ("", *row.deformed):
                place = row.place_of(deformation)
                if not all(self._found[place.start : place.stop]):
                    missing = [self._starts[index] for index in place if not self._found[index]]
                    yield MissingRecords(track_id, deformation, row.split, missing, len(place))
