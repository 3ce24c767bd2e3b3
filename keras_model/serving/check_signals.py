"""Synthesised audio that an export is checked with."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from tfrecords.log_mel_spec import LogMelSpec

_SECONDS = 2.5


def check_signals(spec: LogMelSpec) -> NDArray[np.float32]:
    """Chunks that show a front end's differences, (5, chunk_samples): a tone, a sweep, noise loud and faint, silence."""
    time = np.arange(spec.chunk_samples) / spec.sample_rate
    noise = np.random.default_rng(0).standard_normal(time.size)
    sweep = np.sin(2 * np.pi * (50.0 * time + 0.45 * (spec.fmax_hz - 50.0) * time**2 / time[-1]))
    signals = (0.9 * np.sin(2 * np.pi * 440.0 * time), 0.5 * sweep, 0.2 * noise, 1e-4 * noise, np.zeros_like(time))
    return np.stack(signals).astype(np.float32)


def check_tracks(spec: LogMelSpec, *, sample_rate: int | None = None) -> NDArray[np.float32]:
    """Tracks unlike each other, with sound in all bands and full scale never reached, (3, n_samples).

    Args:
        spec: Says what a track must hold: three candidate chunks at the least.
        sample_rate: Of the tracks, in Hz; the spec's where not given.
    """
    rate = sample_rate or spec.sample_rate
    time = np.arange(round(max(_SECONDS, spec.min_seconds(3)) * rate)) / rate
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(time.size)
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.2, 329.6, 1760.0)) / 4
    beat = np.exp(-8.0 * (time % 0.5)) * noise
    tracks = (0.5 * chord + 0.01 * noise, 0.2 * beat + 0.005 * noise, 0.05 * noise + 0.3 * chord * (time % 1.0 < 0.5))
    return np.clip(np.stack(tracks), -0.99, 0.99).astype(np.float32)


def wav_bytes(waveform: NDArray[np.float32], sample_rate: int) -> bytes:
    """A waveform (n_samples,) in ±1 as a WAV file of 16 bits."""
    file = io.BytesIO()
    soundfile.write(file, waveform, sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()
