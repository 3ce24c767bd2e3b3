"""Files that audio is decoded from. All of them have a descriptor, which is what the decoders read.

Of bytes in memory, which it reads through Python's functions, libsndfile takes another length where a tag stands before a header.
"""

import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import ArrayLike

from tfrecords.audio.errors import UnusableAudioError
from tfrecords.audio.sound import SAMPLE_RATES_HZ
from tfrecords.errors import UsageError, printable

# A file, by its path or open with a descriptor; its bytes; or samples, (n_samples,) or (n_samples, n_channels), float in ±1,
# int16 or int32, with their rate in Hz.
AudioSource = str | Path | BinaryIO | bytes | tuple[ArrayLike, float]
_SUBTYPES = {"float32": "FLOAT", "float64": "DOUBLE", "int16": "PCM_16", "int32": "PCM_32"}


def open_audio_file(path: Path) -> BinaryIO:
    """Opens a file.

    Raises:
        UnusableAudioError: If it is a pipe, a device or a folder, which could hold a run up for ever.
        OSError: If it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnusableAudioError("not a regular file", "is not a regular file")
    return path.open("rb", buffering=0)


@contextmanager
def as_file(source: AudioSource) -> Iterator[BinaryIO]:
    """Audio as an open file; what is none yet becomes a temporary one, samples a WAV file that holds just these.

    Raises:
        UnusableAudioError: If it is no regular file. Of a path, this error, also where the body raises it, begins with the path.
        UsageError: If samples or their rate are none.
        OSError: If it cannot be read.
    """
    if isinstance(source, str | Path):
        try:
            with open_audio_file(Path(source)) as opened:
                yield opened
        except UnusableAudioError as error:
            raise UnusableAudioError(error.kind, f"{printable(str(source))}: {error}") from error
    elif isinstance(source, bytes | tuple):
        with tempfile.TemporaryFile() as file:
            if isinstance(source, bytes):
                file.write(source)
            else:
                _write_wav(file, *source)
            file.flush()
            yield file
    else:
        yield source


def _write_wav(file: Any, samples: ArrayLike, sample_rate: float) -> None:
    array = np.asarray(samples)
    if array.dtype.name not in _SUBTYPES:
        raise UsageError(f"samples must be float in ±1, int16 or int32, got {array.dtype}")
    if array.ndim not in (1, 2) or array.shape[0] < array.shape[-1]:
        raise UsageError(f"samples must have the shape (n_samples,) or (n_samples, n_channels), got {array.shape}")
    low, high = SAMPLE_RATES_HZ
    if not (low <= sample_rate <= high and sample_rate == int(sample_rate)):
        raise UsageError(f"the sample rate must be an integer from {low} to {high} Hz, got {sample_rate!r}")
    soundfile.write(file, array, int(sample_rate), format="WAV", subtype=_SUBTYPES[array.dtype.name])
