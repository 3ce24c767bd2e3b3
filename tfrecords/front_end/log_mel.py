"""Waveform to log-mel spectrogram, in NumPy and SciPy."""

from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.typing import NDArray

from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.front_end.mel_filter_bank import mel_filter_bank


def periodic_hann(win_length: int) -> NDArray[np.float64]:
    """The periodic Hann window, (win_length,): ½ − ½·cos(2πn / win_length)."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(win_length) / win_length)


@lru_cache(maxsize=8)
def _constants(spec: LogMelSpec) -> tuple[NDArray[np.float64], scipy.sparse.csr_array]:
    """The window times the amplitude scale, and the filter bank as a sparse matrix: an FFT bin lies in two bands at most."""
    return periodic_hann(spec.win_length) * spec.amplitude_scale, scipy.sparse.csr_array(mel_filter_bank(spec))


def _window_starts(spec: LogMelSpec) -> NDArray[np.int64]:
    """Where the window of each frame starts in its chunk, (frames kept,), in samples; negative in the padding before it.

    The window is centred in the n_fft samples of its frame, and a centred frame lies n_fft // 2 samples further left.
    """
    offset = (spec.n_fft - spec.win_length) // 2 - (spec.n_fft // 2 if spec.centered else 0)
    return offset + spec.hop_length * np.arange(spec.n_kept_frames)


def log_mel(chunks: NDArray[np.float32], *, spec: LogMelSpec) -> NDArray[np.float32]:
    """Log-mel spectrograms of equally long chunks: log(mel bank · |STFT|^power + log_offset).

    Only the magnitude of the spectrum is used, and it does not depend on where in the FFT's input the windowed samples stand:
    they are put at its beginning, which spares cutting whole n_fft frames out of a padded signal.

    Window and FFT are float64, as librosa's are: the rounding of a float32 FFT follows the loudest bin, and in the quiet bands
    above an MP3 encoder's low-pass it moves the logarithm by up to 3e-4.

    Chunks are transformed one after the other in one set of buffers: a chunk's frames stay in the processor's cache, where all
    of a track's would take four times as long.

    Args:
        chunks: Waveforms in ±1, (n_chunks, spec.chunk_samples) float32.
        spec: The front end.

    Returns:
        (n_chunks, n_mels, n_frames) float32, frequency first. Where a chunk has fewer than n_frames frames the last is repeated.

    Raises:
        ValueError: If the chunks do not have the spec's length.
    """
    if chunks.ndim != 2 or chunks.shape[1] != spec.chunk_samples:
        raise ValueError(f"chunks must have the shape (n_chunks, {spec.chunk_samples}), got {chunks.shape}")
    window, bank = _constants(spec)
    starts = _window_starts(spec)
    n_kept = spec.n_kept_frames
    before = max(0, -int(starts[0]))
    after = max(0, int(starts[-1]) + spec.win_length - spec.chunk_samples)
    padded = np.zeros(before + spec.chunk_samples + after)
    windows = np.lib.stride_tricks.sliding_window_view(padded, spec.win_length)[starts[0] + before :: spec.hop_length][:n_kept]
    frames = np.zeros((n_kept, spec.n_fft))
    features = np.empty((len(chunks), *spec.shape), dtype=np.float32)
    for chunk, feature in zip(chunks, features, strict=True):
        padded[before : before + spec.chunk_samples] = chunk
        np.multiply(windows, window, out=frames[:, : spec.win_length])
        spectrum = np.abs(scipy.fft.rfft(frames))  # (n_kept, n_fft // 2 + 1) float64
        if spec.power != 1.0:
            spectrum **= spec.power
        mel = bank @ spectrum.astype(np.float32).T  # (n_mels, n_kept)
        mel += np.float32(spec.log_offset)
        feature[:, :n_kept] = np.log(mel) if spec.log_base == "e" else np.log10(mel)
    _repeat_last_frame(features, spec=spec)
    return features


def fill_frames(frames: NDArray[np.float32], *, spec: LogMelSpec) -> NDArray[np.float32]:
    """Log-mels (…, n_mels, n_frames) from their computed frames (…, n_mels, spec.n_kept_frames)."""
    log_mels = np.empty((*frames.shape[:-1], spec.n_frames), dtype=np.float32)
    log_mels[..., : spec.n_kept_frames] = frames
    _repeat_last_frame(log_mels, spec=spec)
    return log_mels


def _repeat_last_frame(log_mels: NDArray[np.float32], *, spec: LogMelSpec) -> None:
    log_mels[..., spec.n_kept_frames :] = log_mels[..., spec.n_kept_frames - 1 : spec.n_kept_frames]


def cut_chunks(waveform: NDArray[np.float32], starts: NDArray[np.int64], *, spec: LogMelSpec) -> NDArray[np.float32]:
    """Cuts the chunks that begin at `starts` (in samples) out of a waveform (n_samples,): (len(starts), chunk_samples).

    Raises:
        ValueError: If a chunk does not lie wholly inside the waveform.
    """
    if starts.size and not 0 <= starts.min() <= starts.max() <= len(waveform) - spec.chunk_samples:
        raise ValueError(
            f"chunk starts must lie in 0..{len(waveform) - spec.chunk_samples}, got {starts.min()}..{starts.max()} "
            f"for a waveform of {len(waveform)} samples"
        )
    return np.stack([waveform[start : start + spec.chunk_samples] for start in starts])
