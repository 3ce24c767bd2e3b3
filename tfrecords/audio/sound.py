"""An audio file whose header was read, and its samples as they lie in it, whichever library decodes them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from tfrecords.audio.errors import UnusableAudioError
from tfrecords.audio.formats import HEAD_BYTES, demuxer_of, undecodable_format
from tfrecords.audio.header import SAMPLE_BYTES, UNKNOWN_FRAMES, announced_by_header

# What lies outside is a damaged header, and resampling it could fill the memory.
SAMPLE_RATES_HZ = (1000, 768_000)
# Floating point files may exceed ±1. This far beyond it they are damaged, and their spectra would overflow float32.
LARGEST_SAMPLE = 1e6
_FULL_SCALE = np.float32(32768)
_LONGEST_HOURS = 24


class _SequentialFile(soundfile.SoundFile):
    """A file that is read from where it stands."""

    def seekable(self) -> bool:
        """No: where it can, soundfile seeks after each read, and MP3 decoders lose what overlaps into the next block."""
        return False

    def samples(self, n_frames: int) -> NDArray[Any]:
        """The next samples, (n_samples, n_channels) int16 or float32; fewer than `n_frames` where the file ends."""
        # Most tracks are 16 bit. Read as what they are they need no check, and take a twentieth of the time.
        dtype = "int16" if self.subtype == "PCM_16" else "float32"
        samples: NDArray[Any] = self.read(n_frames, dtype=dtype, always_2d=True)
        return samples


class Sound:
    """An audio file whose header was read.

    Attributes:
        sample_rate: Of the file, in Hz.
        n_channels: Of the file.
        announced_frames: Samples of each channel by its header; None if it tells none. They need not all be there.
        n_read: Samples of each channel that `blocks` has decoded.
    """

    def __init__(self, file: Any, descriptor: int, head: bytes) -> None:
        self.n_read = 0
        self._file = file
        self._descriptor = descriptor
        self._head = head
        self.sample_rate: int = file.samplerate
        self.n_channels: int = file.channels
        self.announced_frames: int | None = None if file.frames == UNKNOWN_FRAMES else file.frames

    @classmethod
    @contextmanager
    def opened(cls, file: BinaryIO) -> Iterator["Sound"]:
        """Opens a file from its beginning, by its descriptor: libsndfile reads it without Python's lock.

        Raises:
            UnusableAudioError: If it is empty, does not decode, or announces a sample rate or a length out of all range.
        """
        descriptor = file.fileno()
        head = os.pread(descriptor, HEAD_BYTES, 0)
        if not head:
            raise UnusableAudioError("empty file", "the file is empty")
        os.lseek(descriptor, 0, os.SEEK_SET)
        with _decoding(head):
            if demuxer := demuxer_of(head):
                from tfrecords.audio.pyav import PyAvFile  # an extra

                opened: Any = PyAvFile(descriptor, demuxer=demuxer)
            else:
                opened = _SequentialFile(descriptor, closefd=False)
        with opened:
            sound = cls(opened, descriptor, head)
            low, high = SAMPLE_RATES_HZ
            if not low <= sound.sample_rate <= high:
                raise UnusableAudioError("sample rate", f"has a sample rate of {sound.sample_rate} Hz, expected {low} to {high}")
            sound._check_length(sound.announced_frames or 0)
            yield sound

    def _check_length(self, n_frames: int) -> None:
        hours = n_frames / self.sample_rate / 3600
        if hours > _LONGEST_HOURS:
            raise UnusableAudioError("too long", f"is too long: {hours:.1f} hours, expected {_LONGEST_HOURS} at most")

    @property
    def seeks_exactly(self) -> bool:
        """Whether `read_at` reads the samples that `blocks` would, which depends on the format."""
        return self.announced_frames is not None and self._file.subtype in SAMPLE_BYTES

    def blocks(self, n_frames: int) -> Iterator[NDArray[Any]]:
        """Decodes the file once, in blocks of at most `n_frames` samples of each channel.

        Yields:
            Samples (n_samples, n_channels): int16, or float32 with ±1 as full scale. At least one block, none of them empty.

        Raises:
            UnusableAudioError: If it does not decode, holds no samples, or too many, or samples out of all range.
        """
        while True:
            # No more than there should be: what stands after a FLAC's last frame makes libsndfile fail.
            n_left = n_frames if self.announced_frames is None else self.announced_frames - self.n_read
            channels = self._read(min(n_frames, n_left))
            self.n_read += len(channels)
            self._check_length(self.n_read)
            if len(channels):
                yield channels
            # After less than was asked for there may be more, past a damaged place; it is not taken for a continuation.
            if len(channels) < n_frames or self.n_read == self.announced_frames:
                break
        if not self.n_read:
            raise UnusableAudioError("no samples", "holds no samples")

    def read_at(self, first: int, n_frames: int) -> NDArray[Any]:
        """Samples as `blocks` yields them, (n_samples, n_channels), from sample `first` on; fewer where the file ends.

        Raises:
            UnusableAudioError: If they do not decode, or are out of all range.
        """
        with _decoding(self._head):
            self._file.seek(first)
        return self._read(n_frames)

    def _read(self, n_frames: int) -> NDArray[Any]:
        with _decoding(self._head):
            channels: NDArray[Any] = self._file.samples(n_frames)
        if channels.dtype == np.float32:
            _check_samples(channels)
        return channels

    def announced_beyond(self, n_frames: int) -> int | None:
        """Samples of each channel that the header announces, if they are more than the `n_frames` that there were.

        libsndfile cuts most formats' lengths to what is there, so that `announced_frames` does not tell. None where no more are
        announced, and where the length is left open or is an estimate.
        """
        if isinstance(self._file, _SequentialFile):
            announced = announced_by_header(self._file, self._descriptor)
        else:
            announced = self._file.announced
        return announced if announced is not None and announced > n_frames else None


def mono(channels: NDArray[Any]) -> NDArray[np.float32]:
    """The mean of the channels of samples (n_samples, n_channels), int16 or float32 in ±1: (n_samples,) float32 in ±1."""
    if channels.shape[1] == 1 and channels.dtype == np.int16:
        return np.divide(channels[:, 0], _FULL_SCALE, dtype=np.float32)
    scaled = channels / _FULL_SCALE if channels.dtype == np.int16 else channels
    return np.ascontiguousarray(scaled[:, 0] if scaled.shape[1] == 1 else scaled.mean(axis=1), dtype=np.float32)


def sixteen_bits(waveform: NDArray[np.float32]) -> NDArray[np.int16]:
    """A waveform in ±1 rounded to 16 bits, (n_samples,); what lies beyond full scale is clipped."""
    return np.clip(np.rint(waveform * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)


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
        if unknown := undecodable_format(head):
            name, decoder = unknown
            raise UnusableAudioError("format", f"is {name}, which this machine cannot decode ({decoder})") from error
        raise UnusableAudioError("does not decode", f"does not decode: {error.error_string}") from error
    except (soundfile.SoundFileError, RuntimeError, MemoryError) as error:
        raise UnusableAudioError("does not decode", f"does not decode: its header is damaged ({error})") from error
