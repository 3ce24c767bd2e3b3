"""Audio bytes to a mono waveform, for the pipeline and for prediction."""

import io
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from blake3 import blake3
from numpy.typing import NDArray

from tfrecords.audio_formats import undecodable_format

# What lies outside is a damaged header, and resampling it could fill the memory.
SAMPLE_RATES_HZ = (1000, 768_000)
# Floating point files may exceed ±1. This far beyond it they are damaged, and their spectra would overflow float32.
LARGEST_SAMPLE = 1e6
_FULL_SCALE = np.float32(32768)
# A header that announces more is damaged.
_LONGEST_SECONDS = 7 * 24 * 3600
# libsndfile's number where a header announces no length, as in FLAC that was written to a pipe.
_UNKNOWN_FRAMES = 2**63 - 1
# Samples of each channel in a block where the length is not known.
_BLOCK_FRAMES = 1 << 20
# Enough for `undecodable_format`.
_HEAD_BYTES = 64


class UnusableAudioError(ValueError):
    """A track that no feature can be computed from; the message says why.

    Attributes:
        kind: The reason in a few words that many tracks share, for counting.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def open_audio_file(path: Path) -> BinaryIO:
    """Opens a file.

    Raises:
        UnusableAudioError: If it is a pipe, a device or a folder, which could hold a run up for ever.
        OSError: If it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnusableAudioError("not a regular file", "is not a regular file")
    return path.open("rb", buffering=0)


def read_audio_file(path: Path) -> bytes:
    """Reads a file whole; raises what `open_audio_file` does."""
    with open_audio_file(path) as file:
        return file.read()


@dataclass(frozen=True, kw_only=True, eq=False)
class Audio:
    """A decoded file.

    Attributes:
        waveform: (n_samples,) float32; integer formats lie in ±1.
        blake3: Digest of what it sounds like, whatever file it came in: BLAKE3 of the samples, rounded to 16 bits. The same
            recording as WAV, AU or FLAC, with 16 bits or more, has the same digest; once through a lossy codec it has another.
    """

    waveform: NDArray[np.float32]
    blake3: str


def decode_audio(data: bytes, *, sample_rate: int) -> Audio:
    """Decodes a whole file (WAV, AU, FLAC, OGG, Opus, MP3, AIFF, CAF: what libsndfile reads) to a mono waveform.

    Several channels are averaged. Another sample rate is resampled with soxr's HQ setting, as `librosa.load` does.

    Args:
        data: The file's bytes.
        sample_rate: Sample rate of the result, in Hz.

    Raises:
        UnusableAudioError: If the bytes do not decode, hold no samples, or hold samples or a sample rate out of all range.
    """
    with Sound.opened(io.BytesIO(data)) as sound:
        # In one piece, as almost every file can be; what does not fit into the memory has a damaged header.
        blocks = list(sound.blocks(sound.announced_frames or _BLOCK_FRAMES))
    channels = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)  # (n_samples, n_channels)
    waveform = mono(channels)
    if channels.dtype == np.int16 and channels.shape[1] == 1 and sound.sample_rate == sample_rate:
        # What GTZAN is: the samples are hashed as they are, without rounding them back.
        return Audio(waveform=waveform, blake3=_digest(channels))
    if sound.sample_rate != sample_rate:
        import librosa  # takes a second to import, and GTZAN needs no resampling

        waveform = librosa.resample(waveform, orig_sr=sound.sample_rate, target_sr=sample_rate, res_type="soxr_hq")
    rounded = np.clip(np.rint(waveform * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
    return Audio(waveform=waveform, blake3=_digest(rounded))


def _digest(samples: NDArray[Any]) -> str:
    return blake3(samples.astype("<i2", copy=False).tobytes()).hexdigest()


def mono(channels: NDArray[Any]) -> NDArray[np.float32]:
    """The mean of the channels of samples (n_samples, n_channels), int16 or float32 in ±1: (n_samples,) float32 in ±1."""
    if channels.shape[1] == 1 and channels.dtype == np.int16:
        return np.divide(channels[:, 0], _FULL_SCALE, dtype=np.float32)
    scaled = channels / _FULL_SCALE if channels.dtype == np.int16 else channels
    return np.ascontiguousarray(scaled[:, 0] if scaled.shape[1] == 1 else scaled.mean(axis=1), dtype=np.float32)


class _SequentialFile(soundfile.SoundFile):
    """A file that is read from beginning to end."""

    def seekable(self) -> bool:
        """No: where it can, soundfile seeks after each read, and MP3 decoders lose what overlaps into the next block."""
        return False


class Sound:
    """An audio file whose header was read.

    Attributes:
        sample_rate: Of the file, in Hz.
        n_channels: Of the file.
        announced_frames: Samples of each channel by its header; None if it tells none. They need not all be there.
    """

    def __init__(self, file: soundfile.SoundFile, head: bytes) -> None:
        self._file = file
        self._head = head
        self.sample_rate: int = file.samplerate
        self.n_channels: int = file.channels
        self.announced_frames: int | None = None if file.frames == _UNKNOWN_FRAMES else file.frames

    @classmethod
    @contextmanager
    def opened(cls, file: BinaryIO) -> Iterator["Sound"]:
        """Opens a file from its beginning. One on a disk is read by libsndfile itself, without Python's lock.

        Raises:
            UnusableAudioError: If it is empty, does not decode, or announces a sample rate or a length out of all range.
        """
        file.seek(0)
        head = file.read(_HEAD_BYTES)
        if not head:
            raise UnusableAudioError("empty file", "the file is empty")
        file.seek(0)
        source: Any = file
        if not isinstance(file, io.BytesIO):
            source = file.fileno()
            os.lseek(source, 0, os.SEEK_SET)  # a buffer may have read ahead
        with _decoding(head):
            opened = _SequentialFile(source, closefd=False)
        with opened:
            sound = cls(opened, head)
            sound._check_header()
            yield sound

    def _check_header(self) -> None:
        low, high = SAMPLE_RATES_HZ
        if not low <= self.sample_rate <= high:
            raise UnusableAudioError("sample rate", f"has a sample rate of {self.sample_rate} Hz, expected {low} to {high}")
        if (self.announced_frames or 0) > _LONGEST_SECONDS * self.sample_rate:
            reason = f"its header is damaged (it announces {self.announced_frames} samples)"
            raise UnusableAudioError("does not decode", f"does not decode: {reason}")

    def blocks(self, n_frames: int) -> Iterator[NDArray[Any]]:
        """Decodes the file once, in blocks of at most `n_frames` samples of each channel.

        Yields:
            Samples (n_samples, n_channels): int16, or float32 with ±1 as full scale. At least one block, none of them empty.

        Raises:
            UnusableAudioError: If it does not decode, holds no samples, or samples out of all range.
        """
        # Most tracks are 16 bit. Read as what they are they need no check, and take a twentieth of the time.
        dtype = "int16" if self._file.subtype == "PCM_16" else "float32"
        n_read = 0
        while True:
            with _decoding(self._head):
                channels = self._file.read(n_frames, dtype=dtype, always_2d=True)
            n_read += len(channels)
            if dtype == "float32":
                _check_samples(channels)
            if len(channels):
                yield channels
            # After less than was asked for there may be more, past a damaged place; it is not taken for a continuation.
            if len(channels) < n_frames or n_read == self.announced_frames:
                break
        if not n_read:
            raise UnusableAudioError("no samples", "holds no samples")


def _check_samples(channels: NDArray[np.float32]) -> None:
    if not np.isfinite(channels).all():
        raise UnusableAudioError("damaged samples", "holds samples that are NaN or infinite")
    if channels.size and np.abs(channels).max() > LARGEST_SAMPLE:
        raise UnusableAudioError("damaged samples", f"holds samples beyond ±{LARGEST_SAMPLE:.0e}, where ±1 is full scale")


@contextmanager
def _decoding(head: bytes) -> Iterator[None]:
    """Says why a file does not decode, of which `head` is the beginning."""
    try:
        yield
    except soundfile.LibsndfileError as error:
        if name := undecodable_format(head):
            library = f"libsndfile {soundfile.__libsndfile_version__}"
            raise UnusableAudioError("format", f"is {name}, which this machine cannot decode ({library})") from error
        raise UnusableAudioError("does not decode", f"does not decode: {error.error_string}") from error
    except (soundfile.SoundFileError, RuntimeError, MemoryError) as error:
        raise UnusableAudioError("does not decode", f"does not decode: its header is damaged ({error})") from error


class Resampler:
    """Resamples a waveform that comes in blocks, with soxr's HQ setting: to what `librosa.resample` makes of the whole.

    librosa itself has no way to resample in blocks.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
        self._from_rate, self._to_rate = from_rate, to_rate
        self._n_in = self._n_out = 0

    def add(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next block (n_samples,) to what can be said of the result by now."""
        resampled: NDArray[np.float32] = self._stream.resample_chunk(block)
        self._n_in += len(block)
        self._n_out += len(resampled)
        return resampled

    def rest(self) -> NDArray[np.float32]:
        """What is left after the last block, so long that the whole has the length to which librosa rounds."""
        rest: NDArray[np.float32] = self._stream.resample_chunk(np.empty(0, np.float32), last=True)
        n_missing = resampled_length(self._n_in, self._from_rate, self._to_rate) - self._n_out
        return np.pad(rest[:n_missing], (0, max(0, n_missing - len(rest))))


def resampled_length(n_samples: int, from_rate: int, to_rate: int) -> int:
    """Samples that `n_samples` become at another rate, rounded as librosa does."""
    return math.ceil(n_samples * (to_rate / from_rate))
