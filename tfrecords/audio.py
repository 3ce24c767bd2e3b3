"""Audio bytes to a mono waveform, for the pipeline and for prediction."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray


class UnusableAudioError(ValueError):
    """A track that no feature can be computed from; the message says why."""


def decode_audio(data: bytes, *, sample_rate: int) -> NDArray[np.float32]:
    """Decodes a whole file (WAV, AU, FLAC, OGG, Opus, MP3: what libsndfile reads) to a mono waveform.

    Several channels are averaged. Another sample rate is resampled with soxr's HQ setting, as `librosa.load` does.

    Args:
        data: The file's bytes.
        sample_rate: Sample rate of the result, in Hz.

    Returns:
        Waveform (n_samples,) float32; integer formats lie in ±1.

    Raises:
        UnusableAudioError: If the bytes do not decode, hold no samples, or hold NaN or infinite samples.
    """
    if not data:
        raise UnusableAudioError("the file is empty")
    try:
        channels, file_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)  # (n_samples, n_channels)
    except soundfile.LibsndfileError as error:
        raise UnusableAudioError(f"does not decode: {error.error_string}") from error
    if not channels.size:
        raise UnusableAudioError("holds no samples")
    if not np.isfinite(channels).all():
        raise UnusableAudioError("holds samples that are NaN or infinite")
    waveform = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    if file_rate != sample_rate:
        import librosa  # takes a second to import, and GTZAN needs no resampling

        waveform = librosa.resample(waveform, orig_sr=file_rate, target_sr=sample_rate, res_type="soxr_hq")
    return np.ascontiguousarray(waveform, dtype=np.float32)
