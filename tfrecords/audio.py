"""Audio bytes to a mono waveform, for the pipeline and for prediction."""

import io
import stat
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

# What lies outside is a damaged header, and resampling it could fill the memory.
_SAMPLE_RATES = (1000, 768_000)
# Floating point files may exceed ±1. This far beyond it they are damaged, and their spectra would overflow float32.
_LARGEST_SAMPLE = 1e6


class UnusableAudioError(ValueError):
    """A track that no feature can be computed from; the message says why."""


def read_audio_file(path: Path) -> bytes:
    """Reads a file whole.

    Raises:
        UnusableAudioError: If it is a pipe, a device or a folder, which could hold a run up for ever.
        OSError: If it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnusableAudioError("is not a regular file")
    return path.read_bytes()


def decode_audio(data: bytes, *, sample_rate: int) -> NDArray[np.float32]:
    """Decodes a whole file (WAV, AU, FLAC, OGG, Opus, MP3: what libsndfile reads) to a mono waveform.

    Several channels are averaged. Another sample rate is resampled with soxr's HQ setting, as `librosa.load` does.

    Args:
        data: The file's bytes.
        sample_rate: Sample rate of the result, in Hz.

    Returns:
        Waveform (n_samples,) float32; integer formats lie in ±1.

    Raises:
        UnusableAudioError: If the bytes do not decode, hold no samples, or hold samples or a sample rate out of all range.
    """
    if not data:
        raise UnusableAudioError("the file is empty")
    try:
        channels, file_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)  # (n_samples, n_channels)
    except soundfile.LibsndfileError as error:
        raise UnusableAudioError(f"does not decode: {error.error_string}") from error
    except (soundfile.SoundFileError, RuntimeError, MemoryError) as error:
        raise UnusableAudioError(f"does not decode: its header is damaged ({error})") from error
    low, high = _SAMPLE_RATES
    if not low <= file_rate <= high:
        raise UnusableAudioError(f"has a sample rate of {file_rate} Hz, expected {low} to {high}")
    if not channels.size:
        raise UnusableAudioError("holds no samples")
    if not np.isfinite(channels).all():
        raise UnusableAudioError("holds samples that are NaN or infinite")
    if np.abs(channels).max() > _LARGEST_SAMPLE:
        raise UnusableAudioError(f"holds samples beyond ±{_LARGEST_SAMPLE:.0e}, where ±1 is full scale")
    waveform = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    if file_rate != sample_rate:
        import librosa  # takes a second to import, and GTZAN needs no resampling

        waveform = librosa.resample(waveform, orig_sr=file_rate, target_sr=sample_rate, res_type="soxr_hq")
    return np.ascontiguousarray(waveform, dtype=np.float32)
