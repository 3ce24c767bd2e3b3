"""The mel filter bank, used by the pipeline, by prediction and by the served graph."""

import numpy as np
from numpy.typing import NDArray

from tfrecords.front_end.log_mel_spec import LogMelSpec, MelScale

# Slaney's Auditory Toolbox (1998): linear below 1 kHz, 200/3 Hz a mel; above it, 27 mels span a factor of 6.4.
_SLANEY_HZ_PER_MEL = 200.0 / 3
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: float, *, scale: MelScale) -> float:
    """Converts a frequency in Hz to mels, on the HTK scale (O'Shaughnessy 1987) or on Slaney's."""
    if scale == "htk":
        return float(2595.0 * np.log10(1.0 + hz / 700.0))
    if hz < _SLANEY_BREAK_HZ:
        return hz / _SLANEY_HZ_PER_MEL
    return float(_SLANEY_BREAK_MEL + np.log(hz / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP)


def mel_to_hz(mels: NDArray[np.float64], *, scale: MelScale) -> NDArray[np.float64]:
    """Converts mels to frequencies in Hz; the inverse of `hz_to_mel`, for arrays of any shape."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    linear = mels * _SLANEY_HZ_PER_MEL
    logarithmic = _SLANEY_BREAK_HZ * np.exp(_SLANEY_LOG_STEP * (mels - _SLANEY_BREAK_MEL))
    return np.where(mels < _SLANEY_BREAK_MEL, linear, logarithmic)


def band_edges_hz(spec: LogMelSpec) -> NDArray[np.float64]:
    """Where bands begin, peak and end, (n_mels + 2,): band m begins at the m-th, peaks at the next, ends at the one after."""
    limits_mel = (hz_to_mel(spec.fmin_hz, scale=spec.mel_scale), hz_to_mel(spec.fmax_hz, scale=spec.mel_scale))
    return mel_to_hz(np.linspace(*limits_mel, spec.n_mels + 2), scale=spec.mel_scale)


def mel_filter_bank(spec: LogMelSpec) -> NDArray[np.float32]:
    """Triangular mel filters: band m rises from the centre of band m − 1 to its own and falls to the centre of band m + 1.

    Args:
        spec: Gives sample rate, FFT length, number of bands, their limits, scale and norm.

    Returns:
        Weights (n_mels, n_fft // 2 + 1) float32. Computed in float64 and rounded last; equal to `librosa.filters.mel`.

    Raises:
        ValueError: If a band is so narrow that it holds no FFT bin.
    """
    bins_hz = np.fft.rfftfreq(spec.n_fft, d=1.0 / spec.sample_rate)  # (n_fft // 2 + 1,)
    edges_hz = band_edges_hz(spec)  # (n_mels + 2,)
    widths_hz = np.diff(edges_hz)  # (n_mels + 1,)
    slopes = edges_hz[:, np.newaxis] - bins_hz  # (n_mels + 2, n_fft // 2 + 1)
    rising = -slopes[:-2] / widths_hz[:-1, np.newaxis]
    falling = slopes[2:] / widths_hz[1:, np.newaxis]
    weights = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)  # (n_mels, n_fft // 2 + 1)
    if spec.mel_norm:
        weights *= (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, np.newaxis]
    empty = np.flatnonzero(~weights.any(axis=1))
    if empty.size:
        raise ValueError(
            f"mel bands {', '.join(map(str, empty))} hold no FFT bin with n_mels={spec.n_mels} and n_fft={spec.n_fft}; "
            "choose fewer bands or a longer FFT"
        )
    return weights
