"""Checkpoints: all that a training goes on from, one file each, whole or not there.

A file is a NumPy archive (.npz: arrays and a JSON text, nothing that is executed when read), followed by its SHA-256. It gets its
name only once it is written and on the disk.
"""

import hashlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_model.whole_file import write_whole
from tfrecords.errors import UsageError

_FORMAT = 1
_KEPT = 2
_META = "meta"
_N_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """What one file holds.

    Attributes:
        arrays: By name.
        progress: What JSON can hold.
    """

    arrays: Mapping[str, NDArray[Any]]
    progress: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one training, in a folder of their own; the two newest are kept."""

    def __init__(self, folder: Path, *, identity: str, seconds: float = 60.0) -> None:
        """Looks at nothing yet.

        Args:
            folder: Made with the first checkpoint.
            identity: Digest of everything that decides the training's result; a checkpoint of another one is refused.
            seconds: Time between checkpoints.
        """
        self._folder = folder
        self._identity = identity
        self._seconds = seconds
        self._kept: list[Path] = []
        self._latest_at = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self._latest_at >= self._seconds

    def write(self, checkpoint: Checkpoint, *, step: int) -> None:
        """Writes a checkpoint; a disk that does not take it costs a line on screen, and not the training.

        Args:
            checkpoint: To write.
            step: The training's number of steps so far, which orders the files.
        """
        self._latest_at = time.monotonic()
        meta = {"format": _FORMAT, "identity": self._identity, "progress": checkpoint.progress}
        text = json.dumps(meta, allow_nan=False).encode()
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {_META: np.frombuffer(text, np.uint8), **checkpoint.arrays}
        np.savez(buffer, allow_pickle=False, **arrays)
        data = buffer.getvalue()
        path = self._folder / f"step-{step:09d}.npz"
        try:
            self._folder.mkdir(exist_ok=True)
            write_whole(path, data + hashlib.sha256(data).digest())
            self._kept = [*(kept for kept in self._kept if kept != path), path][-_KEPT:]
            for old in {*self._folder.glob("step-*.npz"), *self._folder.glob(".*.part")} - {*self._kept}:
                old.unlink()
        except OSError as error:
            print(f"\nCheckpoint {path} could not be written: {error.strerror}; the training goes on", flush=True)

    def newest(self) -> Checkpoint | None:
        """The newest one that is whole; None where there is none. What is damaged costs a line on screen.

        Raises:
            UsageError: If it is of another training.
        """
        for path in sorted(self._folder.glob("step-*.npz"), reverse=True):
            try:
                checkpoint = self._read(path)
            except OSError as error:
                print(f"Checkpoint {path} cannot be read ({error.strerror}): looking for the one before", flush=True)
            except ValueError as error:
                if isinstance(error, UsageError):
                    raise
                print(f"Checkpoint {path} is damaged ({error}): looking for the one before", flush=True)
            else:
                self._kept = [path]
                return checkpoint
        return None

    def _read(self, path: Path) -> Checkpoint:
        content = path.read_bytes()
        data, digest = content[:-_N_DIGEST_BYTES], content[-_N_DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != digest:
            raise ValueError("its SHA-256 differs")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(arrays.pop(_META).tobytes())
        if (meta["format"], meta["identity"]) != (_FORMAT, self._identity):
            raise UsageError(f"the checkpoint {path} is of a training with other options or data, or of another version")
        return Checkpoint(arrays=arrays, progress=meta["progress"])
