"""The served graph's resampler beside soxr, which the pipeline and prediction use."""

import fractions
import functools
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keras_model.serving.front_end_graph import ratio_of_rates, resample_graph
from tfrecords.audio import SAMPLE_RATES_HZ
from tfrecords.front_end.log_mel import cut_chunks, log_mel
from tfrecords.front_end.log_mel_spec import PRESETS

RATE = 22050
EDGE = 400  # samples: soxr's own start and end differ from what a filter over zeros gives


@functools.cache
def _traced(to_rate: int) -> Any:
    signature = [tf.TensorSpec((None,), tf.float32), tf.TensorSpec((), tf.int32)]
    return tf.function(lambda waveform, rate: resample_graph(waveform, rate, to_rate=to_rate), input_signature=signature)


def resampled(waveform: NDArray[np.float32], rate: int, *, to_rate: int = RATE) -> NDArray[np.float32]:
    found: NDArray[np.float32] = _traced(to_rate)(tf.constant(waveform), rate).numpy()
    return found


def noise(n_samples: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(2).standard_normal(n_samples)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000, 24000, 32000, 37800, 44100, 48000, 88200, 96000, 192000])
def test_white_noise_is_resampled_as_by_soxr(rate: int) -> None:
    """White noise has as much in the filter's slope as below it; below it the two differ by a tenth of what is asserted."""
    waveform = noise(rate)
    ours, soxrs = resampled(waveform, rate), soxr.resample(waveform, rate, RATE, "HQ")
    assert len(ours) == len(soxrs) == RATE
    np.testing.assert_allclose(ours[EDGE:-EDGE], soxrs[EDGE:-EDGE], atol=6e-3 * waveform.std())


@pytest.mark.parametrize(("rate", "low_bands", "high_bands"), [(44100, 1e-4, 5e-3), (48000, 0.05, 0.2), (96000, 0.05, 0.2)])
@pytest.mark.parametrize("preset", ["paper", "full80"])
def test_log_mels_of_resampled_music(rate: int, low_bands: float, high_bands: float, preset: str, shared: Any) -> None:
    """The bound that is stated for the served model: real recordings, played faster so that they fill all bands."""
    spec = PRESETS[preset]
    for path in sorted((shared / "real_audio").rglob("*.wav"))[::8]:
        waveform = soundfile.read(path, dtype="float32")[0][: 4 * rate]
        found = [resampled(waveform, rate), soxr.resample(waveform, rate, RATE, "HQ")]
        starts = np.arange(spec.n_candidate_chunks(len(found[0]))) * spec.chunk_step
        ours, soxrs = (log_mel(cut_chunks(one, starts, spec=spec), spec=spec) for one in found)
        difference = np.abs(ours - soxrs).max(axis=(0, 2))
        assert difference[:70].max() <= low_bands
        assert difference[70:].max() <= high_bands


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 22254, 44056])
def test_a_tone_keeps_frequency_amplitude_and_place(rate: int) -> None:
    time = np.arange(3 * rate) / rate
    found = resampled(np.sin(2 * np.pi * 1000.0 * time).astype(np.float32), rate)
    expected = np.sin(2 * np.pi * 1000.0 * np.arange(len(found)) / RATE)
    # Ratios of large terms are replaced by near ones: see below.
    drift = 1e-4 if rate in (16000, 44100, 48000) else 0.2
    np.testing.assert_allclose(found[EDGE:-EDGE], expected[EDGE:-EDGE], atol=drift)


def test_a_tone_above_the_new_nyquist_frequency_is_gone() -> None:
    time = np.arange(44100) / 44100
    found = resampled(np.sin(2 * np.pi * 12000.0 * time).astype(np.float32), 44100)
    assert np.abs(found[EDGE:-EDGE]).max() < 1e-5


def test_the_rate_itself_changes_nothing() -> None:
    waveform = noise(999)
    np.testing.assert_array_equal(resampled(waveform, RATE), waveform)


@given(rate=st.integers(*SAMPLE_RATES_HZ))
def test_the_ratio_of_any_two_rates_is_exact_or_near(rate: int) -> None:
    ratio = ratio_of_rates(tf.constant(rate, tf.int64), RATE)
    numerator, denominator = map(int, ratio)
    assert 0 < numerator * denominator <= 1_000_000
    exact = fractions.Fraction(rate, RATE)
    if exact.numerator * exact.denominator <= 1_000_000:
        assert (numerator, denominator) == exact.as_integer_ratio()
    assert abs(numerator / denominator / exact - 1) < 5e-4


@settings(max_examples=30)
@given(rate=st.integers(*SAMPLE_RATES_HZ), n_samples=st.integers(0, 3000), to_rate=st.sampled_from([22050, 16000]))
def test_any_rate_gives_a_waveform_of_its_length(rate: int, n_samples: int, to_rate: int) -> None:
    found = resampled(noise(n_samples), rate, to_rate=to_rate)
    assert len(found) == -(-n_samples * to_rate // rate)
    assert np.isfinite(found).all()
    assert np.abs(found).max(initial=0.0) < 2.0
