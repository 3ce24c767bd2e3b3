"""Audio bytes to a mono waveform, for the pipeline and for prediction."""

import io
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from blake3 import blake3
from numpy.typing import NDArray

from tfrecords.audio_formats import undecodable_format

# What lies outside is a damaged header, and resampling it could fill the memory.
_SAMPLE_RATES = (1000, 768_000)
# Floating point files may exceed ±1. This far beyond it they are damaged, and their spectra would overflow float32.
_LARGEST_SAMPLE = 1e6
_FULL_SCALE = np.float32(32768)


class UnusableAudioError(ValueError):
    """A track that no feature can be computed from; the message says why.

    Attributes:
        kind: The reason in a few words that many tracks share, for counting.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def read_audio_file(path: Path) -> bytes:
    """Reads a file whole.

    Raises:
        UnusableAudioError: If it is a pipe, a device or a folder, which could hold a run up for ever.
        OSError: If it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnusableAudioError("not a regular file", "is not a regular file")
    return path.read_bytes()


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
    """Decodes a whole file (WAV, AU, FLAC, OGG, Opus, MP3: what libsndfile reads) to a mono waveform.

    Several channels are averaged. Another sample rate is resampled with soxr's HQ setting, as `librosa.load` does.

    Args:
        data: The file's bytes.
        sample_rate: Sample rate of the result, in Hz.

    Raises:
        UnusableAudioError: If the bytes do not decode, hold no samples, or hold samples or a sample rate out of all range.
    """
    if not data:
        raise UnusableAudioError("empty file", "the file is empty")
    channels, file_rate = _read_samples(data)  # (n_samples, n_channels)
    low, high = _SAMPLE_RATES
    if not low <= file_rate <= high:
        raise UnusableAudioError("sample rate", f"has a sample rate of {file_rate} Hz, expected {low} to {high}")
    if not channels.size:
        raise UnusableAudioError("no samples", "holds no samples")
    if channels.dtype == np.int16 and channels.shape[1] == 1 and file_rate == sample_rate:
        # What GTZAN is: the samples are hashed as they are, without rounding them back.
        return Audio(waveform=np.divide(channels[:, 0], _FULL_SCALE, dtype=np.float32), blake3=_digest(channels))
    if channels.dtype == np.int16:
        channels = channels / _FULL_SCALE
    waveform = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    if file_rate != sample_rate:
        import librosa  # takes a second to import, and GTZAN needs no resampling

        waveform = librosa.resample(waveform, orig_sr=file_rate, target_sr=sample_rate, res_type="soxr_hq")
    waveform = np.ascontiguousarray(waveform, dtype=np.float32)
    rounded = np.clip(np.rint(waveform * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
    return Audio(waveform=waveform, blake3=_digest(rounded))


def _read_samples(data: bytes) -> tuple[NDArray[Any], int]:
    """Samples (n_samples, n_channels), int16 or, in full scale ±1, float32; and the file's sample rate in Hz."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            # Most tracks are 16 bit. Read as what they are they need no check, and take a twentieth of the time.
            if file.subtype == "PCM_16":
                return file.read(dtype="int16", always_2d=True), file.samplerate
            channels, file_rate = file.read(dtype="float32", always_2d=True), file.samplerate
    except soundfile.LibsndfileError as error:
        if name := undecodable_format(data):
            library = f"libsndfile {soundfile.__libsndfile_version__}"
            raise UnusableAudioError("format", f"is {name}, which this machine cannot decode ({library})") from error
        raise UnusableAudioError("does not decode", f"does not decode: {error.error_string}") from error
    except (soundfile.SoundFileError, RuntimeError, MemoryError) as error:
        raise UnusableAudioError("does not decode", f"does not decode: its header is damaged ({error})") from error
    if not np.isfinite(channels).all():
        raise UnusableAudioError("damaged samples", "holds samples that are NaN or infinite")
    if channels.size and np.abs(channels).max() > _LARGEST_SAMPLE:
        raise UnusableAudioError("damaged samples", f"holds samples beyond ±{_LARGEST_SAMPLE:.0e}, where ±1 is full scale")
    return channels, file_rate


def _digest(samples: NDArray[Any]) -> str:
    return blake3(samples.astype("<i2", copy=False).tobytes()).hexdigest()
