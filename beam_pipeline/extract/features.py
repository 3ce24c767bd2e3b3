"""What is computed of a track, whatever its split and label: and the store that keeps it for the next run.

The features of a track as it is and those of its deformations are kept apart: a track that comes into the train split needs the
latter alone, and one that leaves it needs nothing.
"""

import io
import json
import os
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any, Self

import numpy as np
import soundfile
from blake3 import blake3
from numpy.typing import NDArray

from beam_pipeline import storage
from beam_pipeline.storage_errors import StorageError
from tfrecords.command_line.versions import PACKAGE, versions_of
from tfrecords.front_end.augmentation import Augmentation
from tfrecords.front_end.log_mel import fill_frames
from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.records.framing import frame, read_records, unframe

_SUFFIX = ".features"
# Raised whenever the same bytes and spec give other features.
_FRONT_END_VERSION = 2
_LIBRARIES = ("av", "librosa", "numpy", "scipy", "soxr")
_FRAME_BYTES = 16  # around each record: its length and two sums


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """The features of one track, or of all deformations of it.

    Attributes:
        n_samples: Length of the track's waveform at the spec's sample rate.
        audio_blake3: Digest of the track's waveform.
        announced_samples: How long it would be by its file's header, if that was cut off.
        candidates: Numbers of the candidate chunks that were drawn, by the name of the deformation; that of the track as it is is
            empty.
        log_mels: One for each, in that order, (n_chunks, n_mels, n_frames) float32.
    """

    n_samples: int
    audio_blake3: str
    candidates: dict[str, list[int]]
    log_mels: NDArray[np.float32]
    announced_samples: int | None = None

    def encode(self, *, spec: LogMelSpec) -> bytes:
        """A TFRecord file: a record of JSON, then the floats of one log-mel in each, without the frames that repeat the last."""
        head: dict[str, Any] = {"n_samples": self.n_samples, "audio_blake3": self.audio_blake3, "candidates": self.candidates}
        if self.announced_samples is not None:
            head["announced_samples"] = self.announced_samples
        computed = np.ascontiguousarray(self.log_mels[:, :, : spec.n_kept_frames], dtype="<f4")
        return b"".join((frame(json.dumps(head).encode()), *(frame(log_mel.tobytes()) for log_mel in computed)))

    @classmethod
    def decode(cls, data: bytes, *, spec: LogMelSpec) -> Self:
        """Reads what `encode` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        records = read_records(io.BytesIO(data), name="stored features")
        try:
            head = json.loads(next(records))
            n_chunks = sum(map(len, head["candidates"].values()))
            log_mels = np.empty((n_chunks, *spec.shape), np.float32)
            for log_mel, record in zip(log_mels, records, strict=True):
                log_mel[:] = _log_mel(record, spec=spec)
            return cls(log_mels=log_mels, **head)
        except (StopIteration, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"stored features are damaged: {error!r}") from error


def _log_mel(record: bytes, *, spec: LogMelSpec) -> NDArray[np.float32]:
    return fill_frames(np.frombuffer(record, dtype="<f4").reshape(spec.n_mels, spec.n_kept_frames), spec=spec)


@cache
def library_versions() -> dict[str, str]:
    """Versions of this code and of the libraries that decide what features are, in this process."""
    return versions_of((*_LIBRARIES, PACKAGE)) | {"libsndfile": soundfile.__libsndfile_version__}


class FeatureStore:
    """A folder of features, by a key of all that they depend on: equal keys are equal features.

    Attributes:
        folder: Where the files lie.
    """

    def __init__(
        self, folder: str, *, spec: LogMelSpec, seed: int, n_chunks: int, augmentation: Augmentation | None = None
    ) -> None:
        """A store for one front end and one draw of chunks; a folder may hold those of several.

        Args:
            folder: Where the files lie.
            spec: The front end.
            seed: Of the draw.
            n_chunks: How many chunks features are of.
            augmentation: What is done to the tracks before; None for nothing.
        """
        self.folder = folder
        self._spec = spec
        made_with: list[Any] = [spec.to_dict(), seed, n_chunks]
        if augmentation is not None:
            made_with.append(asdict(augmentation))
        self._description = made_with

    @cached_property
    def _made_with(self) -> bytes:
        """What all keys depend on: with the versions of where they are made, which need not be where the store was."""
        return json.dumps([_FRONT_END_VERSION, library_versions(), *self._description], sort_keys=True).encode()

    def key(self, track_id: str, file_blake3: bytes) -> str:
        """Key of a track's features.

        Args:
            track_id: The draw of chunks depends on it.
            file_blake3: BLAKE3 digest of the track's file.
        """
        digests = (blake3(self._made_with).digest(), blake3(track_id.encode()).digest(), file_blake3)
        return blake3(b"".join(digests)).hexdigest()

    @staticmethod
    def name(key: str) -> str:
        """Name of the file of a key's features, relative to the folder."""
        return f"{key[0]}/{key}{_SUFFIX}"  # more folders cost more than they save: ext4 spreads them over the disk

    def get(self, key: str) -> Features | None:
        """The features of a key; None if there are none, or they are damaged.

        Raises:
            StorageError: If they cannot be read.
        """
        path = storage.join(self.folder, self.name(key))
        try:
            return Features.decode(storage.read(path), spec=self._spec)
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            raise StorageError(path, error) from error

    def put(self, key: str, features: Features) -> None:
        """Keeps features. Their sums tell when they are read whether a loss of power has cut them off."""
        storage.write(storage.join(self.folder, self.name(key)), [features.encode(spec=self._spec)], synced=False)

    def log_mel(self, key: str, position: int) -> NDArray[np.float32]:
        """One log-mel (n_mels, n_frames) of the features that `put` has just kept on this machine.

        Args:
            key: Of the track.
            position: Which of its chunks, counted from the last, which is -1.

        Raises:
            OSError: If it cannot be read.
            ValueError: If it is damaged.
        """
        n_bytes = _FRAME_BYTES + 4 * self._spec.n_mels * self._spec.n_kept_frames
        path = f"{self.folder}/{self.name(key)}"
        descriptor = os.open(path, os.O_RDONLY)
        try:
            framed = os.pread(descriptor, n_bytes, os.fstat(descriptor).st_size + position * n_bytes)
        finally:
            os.close(descriptor)
        try:
            return _log_mel(unframe(framed), spec=self._spec)
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    def prune(self, used: set[str]) -> None:
        """Removes every file but those of the keys `used`."""
        keep = {self.name(key) for key in used}
        storage.remove(self.folder, [path for path in storage.files_below(self.folder) if path not in keep])
