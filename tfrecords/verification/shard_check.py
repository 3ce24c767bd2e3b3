"""One pass over one shard: everything that can be said of its bytes and records."""

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from tfrecords.dataset.manifest import Manifest, Shard
from tfrecords.dataset.stable_hash import record_order
from tfrecords.errors import quoted
from tfrecords.front_end.augmentation import augmentation_of
from tfrecords.front_end.statistics import LogMelStatistics
from tfrecords.places import Place
from tfrecords.records.framing import scan_records
from tfrecords.records.schema import Record, decode
from tfrecords.verification.problem import Problem
from tfrecords.verification.track_claims import TrackClaims

# Beside its log-mel a record holds a few numbers and names, and a track id is a path at most.
_NAMES_BYTES = 2**16


class SplitTally:
    """What the shards of one split added up to so far.

    Attributes:
        whole: Whether everything that dataset.json names was there and could be read; only then its numbers can be compared.
        statistics: Of the log-mels; None before the first, for a damaged spec may name a shape that no memory holds.
        latest: Place in the order of the latest record.
    """

    def __init__(self) -> None:
        self.whole = True
        self.statistics: LogMelStatistics | None = None
        self.latest = b""

    def merge(self, statistics: LogMelStatistics) -> None:
        """Adds the statistics of a shard, as the pipeline does."""
        if self.statistics is None:
            self.statistics = statistics
        else:
            self.statistics.merge(statistics)


class _DigestingFile:
    """A file that is hashed and counted as it is read."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], object]) -> None:
        self._file = file
        self._progress = progress
        self.sha256 = hashlib.sha256()
        self.n_bytes = 0

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        self.n_bytes += len(data)
        self._progress(len(data))
        return data

    def read_on(self) -> None:
        """Reads what is left."""
        while self.read(2**20):
            pass


class ShardCheck:
    """The check of one shard.

    Attributes:
        n_records: Records that were read.
        n_bytes: Size of the file.
        sound: Whether the file is there and all records could be read.
    """

    def __init__(self, shard: Shard, *, manifest: Manifest, tracks: TrackClaims, tally: SplitTally) -> None:
        self.n_records = 0
        self.n_bytes = 0
        self.sound = True
        self._shard = shard
        self._manifest = manifest
        self._tracks = tracks
        self._tally = tally
        self._statistics: LogMelStatistics | None = None

    def run(self, folder: Place, *, progress: Callable[[int], object]) -> Iterator[Problem]:
        """Reads the shard once and yields what is wrong with it.

        Args:
            folder: The dataset's.
            progress: Called with the number of bytes each time some were read.
        """
        path = folder / self._shard.name
        try:
            if not path.is_file():  # a pipe would hold the run up for ever
                self.sound = False
                yield self._problem("is missing")
            else:
                with path.open("rb") as file:
                    yield from self._read(_DigestingFile(file, progress))
        except OSError as error:
            self.sound = False
            yield self._problem(f"cannot be read: {error.strerror}")
        self._tally.whole &= self.sound
        if self._statistics is not None:
            self._tally.merge(self._statistics)

    def _problem(self, reason: str, *, place: str = "") -> Problem:
        return Problem(file=self._shard.name, place=place, reason=reason)

    def _read(self, file: _DigestingFile) -> Iterator[Problem]:
        shape = self._manifest.spec.shape
        n_disordered, first_disordered = 0, ""
        for number, frame in enumerate(scan_records(file, longest=4 * math.prod(shape) + _NAMES_BYTES), start=1):
            flaw = frame.flaw
            if not flaw:
                try:
                    record = decode(frame.record, shape=shape)
                except ValueError as error:
                    flaw = str(error)
            if flaw:
                self.sound = False
                yield self._problem(flaw, place=f"record {number} (byte {frame.position})")
                continue
            self.n_records += 1
            for reason in self._flaws(record):
                yield self._problem(reason, place=f"record {number} (byte {frame.position})")
            order = record_order(self._manifest.seed, record.track_id, record.chunk_index, record.deformation)
            if order < self._tally.latest:
                n_disordered += 1
                first_disordered = first_disordered or f"record {number} (byte {frame.position})"
            self._tally.latest = order
        file.read_on()
        if n_disordered:  # of a wrong seed, half of the records tell
            yield self._problem(f"{n_disordered} record(s) are out of order, {first_disordered} first")
        self.n_bytes = file.n_bytes
        if file.n_bytes != self._shard.n_bytes:
            yield self._problem(f"has {file.n_bytes} bytes instead of {self._shard.n_bytes}")
        elif file.sha256.hexdigest() != self._shard.sha256:
            yield self._problem("was altered: its SHA-256 differs")
        if self.sound and self.n_records != self._shard.n_records:
            yield self._problem(f"holds {self.n_records} records instead of {self._shard.n_records}")

    def _flaws(self, record: Record) -> Iterator[str]:
        """What is wrong with a record, and adds it to statistics and tracks."""
        manifest = self._manifest
        if np.isfinite(record.log_mel).all():
            self._statistics = self._statistics or LogMelStatistics(manifest.spec)
            self._statistics.add(record.log_mel[np.newaxis])
        else:
            self._tally.whole = False
            yield "its log-mel holds values that are NaN or infinite"
        if not 0 <= record.label < len(manifest.genres):
            yield f"has label {record.label}, dataset.json has {len(manifest.genres)} genres"
        elif manifest.genres[record.label] != record.genre:
            yield f"has genre {quoted(record.genre)} and label {record.label}, which is {quoted(manifest.genres[record.label])}"
        augmentation = augmentation_of(self._shard.split, manifest.augmentation)
        if record.deformation and (augmentation is None or record.deformation not in augmentation.names):
            yield f"is of deformation {quoted(record.deformation)}, which dataset.json does not have for its split"
        if record.start_sample != record.chunk_index * manifest.spec.chunk_step:
            yield f"starts at sample {record.start_sample}, but is chunk {record.chunk_index} × {manifest.spec.chunk_step}"
        if self._tracks.known:
            yield from self._tracks.mark(record, split=self._shard.split)
